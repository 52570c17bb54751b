/** A function call of a planned response. */
export interface PlannedCall {
  readonly name: string;
  /** Text goes out as it is, so it may be broken JSON. */
  readonly args: object | string;
  /** Default: made up. */
  readonly callId?: string;
}

/** A spoken (or, in a text session, written) message of a planned response. */
export interface PlannedMessage {
  /** Length of the babble in ms; default 60 ms for each letter of the transcript, 1500 ms without one. */
  readonly audioMs?: number;
  /** Samples to be heard instead of babble: 24 kHz PCM16, mono. */
  readonly audio?: Int16Array;
  readonly transcript?: string;
  /** Reasoning models of some makers speak a preamble before the answer. */
  readonly phase?: 'commentary' | 'final_answer';
}

/** One output of a planned response. */
export type PlannedOutput =
  | ({ readonly type: 'message' } & PlannedMessage)
  | ({ readonly type: 'function_call' } & PlannedCall);

/** What a planned response consists of, in either way to write it. */
export interface PlannedOutputs extends PlannedMessage {
  readonly outputs?: readonly PlannedOutput[];
  readonly toolCalls?: readonly PlannedCall[];
}

/** The outputs of a plan in order, whichever way it was written. */
export function outputsOf(plan: PlannedOutputs): readonly PlannedOutput[] {
  if (plan.outputs !== undefined) return plan.outputs;
  const outputs: PlannedOutput[] = [];
  const { audioMs, audio, transcript, phase } = plan;
  if (audioMs !== undefined || audio !== undefined || transcript !== undefined) {
    outputs.push({
      type: 'message',
      ...(audioMs === undefined ? {} : { audioMs }),
      ...(audio === undefined ? {} : { audio }),
      ...(transcript === undefined ? {} : { transcript }),
      ...(phase === undefined ? {} : { phase }),
    });
  }
  for (const call of plan.toolCalls ?? []) outputs.push({ type: 'function_call', ...call });
  return outputs;
}

/** One step of a turn: something is said, or functions are called together. */
export type Step =
  | { readonly type: 'message'; readonly message: PlannedMessage }
  | { readonly type: 'calls'; readonly calls: readonly PlannedCall[] };

/** The steps of a plan in order; calls that follow each other are one step. */
export function stepsOf(plan: PlannedOutputs): readonly Step[] {
  const steps: Step[] = [];
  for (const output of outputsOf(plan)) {
    const last = steps.at(-1);
    if (output.type === 'message') steps.push({ type: 'message', message: output });
    else if (last?.type === 'calls') {
      steps[steps.length - 1] = { type: 'calls', calls: [...last.calls, output] };
    } else steps.push({ type: 'calls', calls: [output] });
  }
  return steps;
}

/** A turn, as far as the model needs it to say something without a script. */
interface PlainTurn {
  readonly kind: 'greeting' | 'user-turn' | 'text' | 'tool-result' | 'prompt' | 'idle';
  readonly heardMs: number;
}

/** What the model says when no script says otherwise. */
export function defaultPlan(turn: PlainTurn): PlannedMessage {
  switch (turn.kind) {
    case 'greeting':
      return { transcript: 'Hello, this is the simulator. Say something.', audioMs: 2_400 };
    case 'user-turn': {
      const seconds = (turn.heardMs / 1000).toFixed(1);
      return { transcript: `I heard ${seconds} seconds of speech.`, audioMs: 2_000 };
    }
    case 'text':
      return { transcript: 'I have read what you wrote.', audioMs: 1_600 };
    case 'tool-result':
      return { transcript: 'The function has answered.', audioMs: 1_600 };
    case 'prompt':
      return { transcript: 'I have nothing new to say.', audioMs: 1_600 };
    case 'idle':
      return { transcript: 'Are you still there?', audioMs: 1_200 };
  }
}

/** How long the babble of a message is, in ms. */
export function babbleMs(message: PlannedMessage): number {
  if (message.audioMs !== undefined) return message.audioMs;
  return message.transcript === undefined ? 1_500 : Math.max(400, message.transcript.length * 60);
}

/** What the transcriber makes of speech when no script says otherwise. */
export function defaultTranscript(heardMs: number): string {
  return `Speech of ${(heardMs / 1000).toFixed(1)} seconds.`;
}

/** Speed as a plain number: a burst is infinitely fast. */
export function speedOf(speed: number | 'burst'): number {
  return speed === 'burst' ? Number.POSITIVE_INFINITY : speed;
}

/** How a connection ended. */
export interface ConnectionEnd {
  readonly code: number;
  readonly reason: string;
}
