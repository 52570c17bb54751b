import type { ErrorCode } from '../../errors.ts';
import { FATAL_ERRORS, PASSING_ERRORS } from '../common/openai-errors.ts';
import { closeVerdict, statusVerdict } from '../common/verdicts.ts';

/** How the session treats a report: `fatal` ends it, `borne` is forgiven once, `rejected` concerns one message. */
export type Severity = 'fatal' | 'borne' | 'rejected';

export interface Report {
  readonly code: ErrorCode;
  readonly severity: Severity;
}

const REPORTS: ReadonlyMap<string, Report> = new Map<string, Report>([
  ...FATAL_ERRORS.map(([name, code]): [string, Report] => [name, { code, severity: 'fatal' }]),
  ...PASSING_ERRORS.map(([name, code]): [string, Report] => [name, { code, severity: 'borne' }]),
]);

const REJECTED: Report = { code: 'PROVIDER_REJECTED', severity: 'rejected' };

/** Verdict on an error object of the provider: its `code` says more than its `type`, so it is asked first. */
export function report(code: string | undefined, kind: string | undefined): Report {
  return (code && REPORTS.get(code)) || (kind && REPORTS.get(kind)) || REJECTED;
}

/** The code of an error that came before the session stood: one refused message then is the whole session. */
export function connectCode(code: string | undefined, kind: string | undefined): ErrorCode {
  const found = report(code, kind);
  return found.code === 'PROVIDER_REJECTED' ? 'PROVIDER_CONFIG' : found.code;
}

/** HTTP status of a refused upgrade; a code in the body knows better, as with 429, which also stands for no quota. */
export function statusCode(
  status: number,
  bodyCode: string | undefined,
  bodyKind: string | undefined,
): ErrorCode {
  const found = report(bodyCode, bodyKind);
  if (found.severity === 'fatal') return found.code;
  return statusVerdict(status);
}

/** Code of a socket that the provider closed without a word, from the close code and its reason. */
export function closeCode(code: number, reason: string, whileConnecting: boolean): ErrorCode {
  for (const part of reason.split(/[^a-z_]+/)) {
    const found = REPORTS.get(part);
    if (found?.severity === 'fatal') return found.code;
  }
  if (code === 3000) return 'PROVIDER_AUTH';
  if (code === 4000) return 'PROVIDER_CONFIG';
  return closeVerdict(code, whileConnecting);
}

const END_REASONS: ReadonlyMap<string, string> = new Map([
  ['content', 'its filter stepped in'],
  ['remote_hangup', 'the other end hung up'],
  ['connection_lost', 'it lost the connection'],
]);

/** The end of a session that the bridge did not ask for: the code, and what there is to say. */
export function endOf(reason: string): { readonly code: ErrorCode; readonly words: string } {
  if (reason === 'expired') return { code: 'PROVIDER_EXPIRED', words: 'its time is over' };
  return { code: 'PROVIDER_CLOSED', words: END_REASONS.get(reason) ?? reason };
}
