import type { CallOutcome, MachineResult } from '../../src/carrier.ts';
import { BridgeError } from '../../src/errors.ts';

/** Telnyx's words in those of the bridge. */

const CAUSES: ReadonlyMap<string, CallOutcome> = new Map<string, CallOutcome>([
  ['normal_clearing', 'completed'],
  ['user_busy', 'busy'],
  ['no_answer', 'no-answer'],
  ['timeout', 'no-answer'],
  ['call_rejected', 'rejected'],
  ['originator_cancel', 'canceled'],
  ['time_limit', 'time-limit'],
  ['not_found', 'failed'],
  ['unspecified', 'failed'],
]);

/** What a `hangup_cause` means; undefined for one that is not known. */
export function outcomeOf(cause: string): CallOutcome | undefined {
  return CAUSES.get(cause);
}

const MACHINES: ReadonlyMap<string, MachineResult> = new Map<string, MachineResult>([
  ['human', 'human'],
  ['human_residence', 'human'],
  ['human_business', 'human'],
  ['machine', 'machine'],
  ['machine_start', 'machine'],
  ['machine_end_beep', 'machine-beep'],
  ['machine_end_silence', 'machine'],
  ['machine_end_other', 'machine'],
  ['beep_detected', 'machine-beep'],
  ['no_beep_detected', 'machine'],
  ['ended', 'machine'],
  ['fax', 'fax'],
  ['fax_detected', 'fax'],
  ['silence', 'silence'],
]);

/** Who picked up, by the words of Call Control and those of TeXML; `unknown` for `not_sure` and new words. */
export function machineResult(result: string): MachineResult {
  return MACHINES.get(result) ?? 'unknown';
}

const HIDDEN: ReadonlySet<string> = new Set([
  '',
  'anonymous',
  '+anonymous',
  'unavailable',
  'restricted',
  'private',
  'blocked',
  'unknown',
]);

/** A number as `+` and digits, `sip:…`, `anonymous`, or as it came when it is none of these. */
export function party(found: unknown): string {
  const text = typeof found === 'string' ? found.trim() : '';
  const lower = text.toLowerCase();
  if (HIDDEN.has(lower) || /^(?:sips?:)?anonymous@/.test(lower)) return 'anonymous';
  // Short numbers are extensions and services: a plus would make others of them.
  if (/^\d{8,15}$/.test(text)) return `+${text}`;
  if (/^[^\s:@]+@[^\s:@]+/.test(text)) return `sip:${text}`;
  return text;
}

/** A digit as keys give it; undefined for anything else. */
export function keyOf(found: unknown): string | undefined {
  return typeof found === 'string' && /^[0-9*#A-D]$/i.test(found) ? found.toUpperCase() : undefined;
}

/** For messages: a word of the carrier, cut short. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

/** What a call can be placed or transferred to. Throws BAD_INPUT for anything else, without showing it. */
export function address(what: string, found: string): string {
  const target = found.trim();
  // A comma would make Telnyx play what follows it as keys.
  if (/^sips?:[\x21-\x2b\x2d-\x7e]{1,400}$/i.test(target)) return target;
  const number = target.replace(/[\s().-]/g, '');
  if (/^\+\d{3,20}$/.test(number)) return number;
  throw new BridgeError(
    'BAD_INPUT',
    `${what} has ${target.length} characters that are no address; wanted + and digits, or sip:…`,
  );
}

/** Whole seconds within what Telnyx takes. Throws BAD_INPUT for what is no time. */
export function seconds(what: string, found: number, least: number, most: number): number {
  if (found > 0 && found < Number.POSITIVE_INFINITY) return Math.min(Math.max(Math.ceil(found), least), most);
  throw new BridgeError('BAD_INPUT', `${what} is ${found}; wanted seconds above 0`);
}

/** Languages that Telnyx speaks. In any other the caller would hear nothing, so those get English. */
const SPOKEN: readonly string[] = [
  'en-US',
  'arb',
  'cmn-CN',
  'cy-GB',
  'da-DK',
  'de-DE',
  'en-AU',
  'en-GB',
  'en-GB-WLS',
  'en-IN',
  'es-ES',
  'es-MX',
  'es-US',
  'fr-FR',
  'fr-CA',
  'hi-IN',
  'is-IS',
  'it-IT',
  'ja-JP',
  'ko-KR',
  'nb-NO',
  'nl-NL',
  'pl-PL',
  'pt-BR',
  'pt-PT',
  'ro-RO',
  'ru-RU',
  'sv-SE',
  'tr-TR',
];
/** Other names of the same languages. */
const ALIASES: Readonly<Record<string, string>> = Object.freeze({ ar: 'arb', zh: 'cmn-CN', no: 'nb-NO' });

/** The nearest language that Telnyx speaks: of the same region, else of the same language, else en-US. */
export function spokenLanguage(language: string | undefined): string {
  const tag = language?.trim().replaceAll('_', '-').toLowerCase() ?? '';
  const exact = SPOKEN.find((candidate) => candidate.toLowerCase() === tag);
  if (exact !== undefined) return exact;
  const primary = tag.split('-', 1)[0] ?? '';
  if (Object.hasOwn(ALIASES, primary)) return ALIASES[primary] ?? 'en-US';
  return SPOKEN.find((candidate) => primary !== '' && candidate.split('-', 1)[0] === primary) ?? 'en-US';
}
