import type { PlannedCall, PlannedMessage } from '../common/plan.ts';
import type { PlannedOutput, ResponsePlan, Turn } from './api.ts';
import type { WireError } from './wire.ts';

/** One step of a turn: something is said, or functions are called together. */
export type Step =
  | { readonly type: 'message'; readonly message: PlannedMessage }
  | { readonly type: 'calls'; readonly calls: readonly PlannedCall[] };

function outputsOf(plan: ResponsePlan): readonly PlannedOutput[] {
  if (plan.outputs !== undefined) return plan.outputs;
  const { audioMs, audio, transcript } = plan;
  const outputs: PlannedOutput[] = [];
  if (audioMs !== undefined || audio !== undefined || transcript !== undefined) {
    outputs.push({
      type: 'message',
      ...(audioMs === undefined ? {} : { audioMs }),
      ...(audio === undefined ? {} : { audio }),
      ...(transcript === undefined ? {} : { transcript }),
    });
  }
  for (const call of plan.toolCalls ?? []) outputs.push({ type: 'function_call', ...call });
  return outputs;
}

/** The steps of a plan in order; calls that follow each other are one step. */
export function stepsOf(plan: ResponsePlan): readonly Step[] {
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

/** What the model says when no script says otherwise: what it was given to say, it says. */
export function defaultPlan(turn: Turn): ResponsePlan {
  switch (turn.kind) {
    case 'greeting':
      return { transcript: turn.text === '' ? 'Hello, this is the simulator. Say something.' : turn.text };
    case 'user-turn': {
      const seconds = (turn.heardMs / 1000).toFixed(1);
      return { transcript: `I heard ${seconds} seconds of speech.`, audioMs: 2_000 };
    }
    case 'text':
      return { transcript: 'I have read what you wrote.', audioMs: 1_600 };
    case 'tool-result':
      return turn.text === ''
        ? { transcript: 'The function has answered.', audioMs: 1_600 }
        : { transcript: turn.text };
    case 'prompt':
      return turn.text === ''
        ? { transcript: 'I have nothing new to say.', audioMs: 1_600 }
        : { transcript: turn.text };
  }
}

/** For a response of the backend that failed and whose plan does not say why. */
export const PLAIN_FAILURE: WireError = {
  type: 'server_error',
  code: 'server_error',
  message: 'The server had an error while processing your request. Sorry about that!',
};
