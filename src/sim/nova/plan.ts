import type { PlannedOutput, ResponsePlan, Turn } from './api.ts';

/** The outputs of a plan in order, whichever way it was written. */
export function outputsOf(plan: ResponsePlan): readonly PlannedOutput[] {
  if (plan.outputs !== undefined) return plan.outputs;
  const outputs: PlannedOutput[] = [];
  const { audioMs, audio, transcript } = plan;
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

/** What the model says when no script says otherwise. */
export function defaultPlan(turn: Turn): ResponsePlan {
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
  }
}

/** Sentences, each with its closing mark: `1.5 seconds` is not the end of one. */
export function sentencesOf(transcript: string): readonly string[] {
  const sentences = transcript.split(/(?<=[.!?…])\s+/).filter((sentence) => sentence !== '');
  return sentences.length === 0 ? [''] : sentences;
}
