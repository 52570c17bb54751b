import type { CallEvent } from '../../call-events.ts';
import { isRecord } from '../../is-record.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import type { Kind, Plan, PlayedName, ScenarioProvider } from '../fixture/scenario.ts';

type Plans = Partial<Record<Kind, Plan[]>>;

/**
 * A simulated model that says in its turns what the model of a stored call said in its own, and calls the same functions;
 * asked more often, it says the last thing of its kind once more.
 */
export function scriptedProvider(name: PlayedName, stored: StoredCall): ScenarioProvider {
  const says: Plans = {};
  const hears: string[] = [];
  let kind: Kind = 'greeting';
  for (const event of eventsOf(stored)) {
    if (event.type === 'transcript' && event.final) {
      if (event.role === 'user') {
        hears.push(event.text);
        kind = 'user-turn';
      } else add(says, kind, { transcript: event.text });
    } else if (event.type === 'tool') {
      add(says, kind, { toolCalls: [{ name: event.name, args: isRecord(event.args) ? event.args : {} }] });
      kind = 'tool-result';
    } else if (event.type === 'digit') kind = 'text';
  }
  return { name, says, hears, faults: [], options: {} };
}

function eventsOf(stored: StoredCall): readonly CallEvent[] {
  return stored.lines.flatMap((line) => (line.on === 'call' ? [line.msg] : []));
}

function add(says: Plans, kind: Kind, plan: Plan): void {
  const plans = says[kind] ?? [];
  says[kind] = plans;
  plans.push(plan);
}
