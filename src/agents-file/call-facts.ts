import type { CarrierName } from '../carrier.ts';
import { tidyOfStranger } from './template.ts';

/** What is known of a call when its agent is made. */
export interface CallFacts {
  /** The carrier's id of the call. */
  readonly callId: string;
  readonly carrier: CarrierName;
  readonly direction: 'inbound' | 'outbound';
  /** Who calls: `+` and digits, `sip:…`, `client:…` or `anonymous`. */
  readonly from: string;
  readonly to: string;
  readonly callerName: string | undefined;
  /** Now, ms since 1970 UTC. */
  readonly epochMs: number;
}

/** Longer than anybody's name, and short for whoever would like to instruct the model by it. */
const LONGEST_NAME = 64;
/** Of a SIP address with its host. */
const LONGEST_ADDRESS = 260;

/** The variables that the bridge itself fills in, of a call that `agent` has; times are those of `timeZone`. */
export function builtInVariables(
  facts: CallFacts,
  agent: string,
  timeZone: string,
  language: string | undefined,
): Readonly<Record<string, string>> {
  return {
    caller: tidyOfStranger(facts.from, LONGEST_ADDRESS),
    callee: tidyOfStranger(facts.to, LONGEST_ADDRESS),
    caller_name: tidyOfStranger(facts.callerName ?? '', LONGEST_NAME),
    call_id: tidyOfStranger(facts.callId, LONGEST_ADDRESS),
    carrier: facts.carrier,
    direction: facts.direction,
    agent,
    ...timeVariables(facts.epochMs, timeZone, language),
  };
}

function timeVariables(epochMs: number, timeZone: string, language: string | undefined) {
  const digits = new Intl.DateTimeFormat('en', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
  const parts = new Map(digits.formatToParts(epochMs).map(({ type, value }) => [type, value]));
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? '';
  // In the language of the call, because it may be said as it is.
  const weekday = new Intl.DateTimeFormat(language ?? 'en', { timeZone, weekday: 'long' });
  return {
    time: `${part('hour')}:${part('minute')}`,
    date: `${part('year')}-${part('month')}-${part('day')}`,
    weekday: weekday.format(epochMs),
  };
}
