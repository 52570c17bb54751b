import type { PlannedCall, PlannedMessage } from '../common/plan.ts';
import type { ResponsePlan, Turn } from './api.ts';

/** One thing to do: a message, or the calls that go out together. */
export type Step =
  | { readonly type: 'message'; readonly message: PlannedMessage }
  | { readonly type: 'calls'; readonly calls: readonly PlannedCall[] };

/** The outputs of a plan in order, whichever way it was written. */
export function stepsOf(plan: ResponsePlan): readonly Step[] {
  if (plan.outputs === undefined) return plainSteps(plan);
  const steps: Step[] = [];
  let calls: PlannedCall[] | undefined;
  for (const output of plan.outputs) {
    if (output.type === 'message') {
      calls = undefined;
      steps.push({ type: 'message', message: output });
    } else if (calls === undefined) {
      calls = [output];
      steps.push({ type: 'calls', calls });
    } else {
      calls.push(output);
    }
  }
  return steps;
}

function plainSteps(plan: ResponsePlan): readonly Step[] {
  const steps: Step[] = [];
  const speaks = plan.audioMs !== undefined || plan.audio !== undefined || plan.transcript !== undefined;
  if (speaks) steps.push({ type: 'message', message: plan });
  if (plan.toolCalls !== undefined && plan.toolCalls.length > 0) {
    steps.push({ type: 'calls', calls: plan.toolCalls });
  }
  return steps;
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
