import type { ResponsePlan, Turn } from './api.ts';

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
