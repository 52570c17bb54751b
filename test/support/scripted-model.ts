import type { PlannedCall, ResponsePlan, Turn } from '../../src/sim/openai.ts';

/** What the model does in one turn. */
export type Step = ResponsePlan | ((turn: Turn) => ResponsePlan);
/** What it does in its turns, for each connection; sentences that it is told to say are none. */
export type Script = readonly Step[] | ((connection: number) => readonly Step[]);

/** The model says this. */
export function says(transcript: string, audioMs = 300): ResponsePlan {
  return { transcript, audioMs };
}

/** The model calls this function. */
export function calls(name: string, args: PlannedCall['args'], callId?: string): ResponsePlan {
  return { toolCalls: [{ name, args, ...(callId === undefined ? {} : { callId }) }] };
}

/**
 * What a bridge asks for word by word is said; every other response is the next step of the script.
 * @param sayMs how long a sentence takes that it is told to say
 */
export function scriptedModel(
  model: Script,
  sayMs: (sentence: string) => number = () => 300,
): (turn: Turn) => ResponsePlan {
  const scripts = new Map<number, Step[]>();
  return (turn) => {
    const wanted = /-----\n(.*)\n-----$/s.exec(String(turn.request['instructions'] ?? ''))?.[1];
    if (wanted !== undefined) return says(wanted, sayMs(wanted));
    const script = scripts.get(turn.connection) ?? [
      ...(typeof model === 'function' ? model(turn.connection) : model),
    ];
    scripts.set(turn.connection, script);
    const step = script.shift() ?? says('The script is over.');
    return typeof step === 'function' ? step(turn) : step;
  };
}
