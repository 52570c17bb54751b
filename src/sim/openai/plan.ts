import type { PlannedOutput, ResponsePlan, Turn } from './api.ts';
import type { WireError } from './wire.ts';

/** The outputs of a plan in order, whichever way it was written. */
export function outputsOf(plan: ResponsePlan): readonly PlannedOutput[] {
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
    case 'idle':
      return { transcript: 'Are you still there?', audioMs: 1_200 };
  }
}

/** For a failed response whose plan does not say why. */
export const PLAIN_FAILURE: WireError = {
  type: 'server_error',
  code: 'server_error',
  message: 'The server had an error while processing your request. Sorry about that!',
};
