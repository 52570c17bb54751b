import type { ErrorCode } from '../../errors.ts';
import { FATAL_ERRORS, PASSING_ERRORS } from '../common/openai-errors.ts';
import { closeVerdict, statusVerdict } from '../common/verdicts.ts';

/**
 * How the session treats a report of the provider: `fatal` ends it, `sticky` is forgiven once, `busy` means that a
 * response is running already, `rejected` concerns one message, `noted` is a warning, `swallowed` is no news.
 */
export type Severity = 'fatal' | 'sticky' | 'busy' | 'rejected' | 'noted' | 'swallowed';

export interface Report {
  readonly code: ErrorCode;
  readonly severity: Severity;
}

const REPORTS: ReadonlyMap<string, Report> = new Map<string, Report>([
  ...FATAL_ERRORS.map(([name, code]): [string, Report] => [name, { code, severity: 'fatal' }]),
  ...PASSING_ERRORS.map(([name, code]): [string, Report] => [name, { code, severity: 'sticky' }]),
  ['beta_api_shape_disabled', { code: 'PROVIDER_CONFIG', severity: 'fatal' }],
  ['max_duration', { code: 'PROVIDER_EXPIRED', severity: 'fatal' }],
  ['conversation_already_has_active_response', { code: 'PROVIDER_REJECTED', severity: 'busy' }],
  ['input_audio_buffer_commit_empty', { code: 'PROVIDER_REJECTED', severity: 'noted' }],
  ['response_cancel_not_active', { code: 'PROVIDER_REJECTED', severity: 'swallowed' }],
]);

const REJECTED: Report = { code: 'PROVIDER_REJECTED', severity: 'rejected' };

/** Verdict on an error object of the provider: its `code` says more than its `type`, so it is asked first. */
export function report(code: string | undefined, kind: string | undefined): Report {
  return (code && REPORTS.get(code)) || (kind && REPORTS.get(kind)) || REJECTED;
}

const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['milli', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** How long a rate limit asks to wait, in ms: long enough to be of use, short enough for a caller who waits as well. */
export function retryDelay(message: string): number {
  const [, count, unit] = /try again in (\d+(?:\.\d+)?)\s*(ms|milli|s|m|h)/i.exec(message) ?? [];
  const wanted = Number(count) * (UNITS_MS.get(unit?.toLowerCase() ?? '') ?? Number.NaN);
  return Number.isNaN(wanted) ? 1_000 : Math.min(5_000, Math.max(1_000, wanted));
}

/** The code of an error object that came before the session stood: one refused message then is the whole session. */
export function connectCode(code: string | undefined, kind: string | undefined): ErrorCode {
  const found = report(code, kind);
  return found.code === 'PROVIDER_REJECTED' ? 'PROVIDER_CONFIG' : found.code;
}

/** HTTP status of a refused upgrade; a code in the body knows better, as with 429, which also stands for no quota. */
export function statusCode(status: number, bodyCode: string | undefined, bodyKind?: string): ErrorCode {
  const found = report(bodyCode, bodyKind);
  if (found.severity === 'fatal') return found.code;
  return statusVerdict(status);
}

/** Code of a socket that the provider closed, from the close code and its reason (`type.code` or a sentence). */
export function closeCode(code: number, reason: string, whileConnecting: boolean): ErrorCode {
  for (const part of reason.split(/[^a-z_]+/)) {
    const found = REPORTS.get(part);
    if (found?.severity === 'fatal') return found.code;
  }
  if (/maximum duration/i.test(reason)) return 'PROVIDER_EXPIRED';
  if (code === 3000) return 'PROVIDER_AUTH';
  if (code === 4000) return 'PROVIDER_CONFIG';
  return closeVerdict(code, whileConnecting);
}
