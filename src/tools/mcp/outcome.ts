import * as z from 'zod';
import { BridgeError } from '../../errors.ts';
import { shortText } from '../../short-text.ts';
import { BROKEN_OFF, NOT_OF_THE_SERVER } from './http.ts';
import type { Sdk } from './sdk.ts';

/**
 * The result of a call, as far as it is read. Wider than the SDK's: a kind of content that is not known yet must not
 * cost the caller the rest.
 */
export const callResultSchema = z.looseObject({
  content: z.array(z.looseObject({ type: z.string() })).default([]),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  isError: z.boolean().default(false),
});

/** The result of a call. */
export type CallResult = z.output<typeof callResultSchema>;
type Content = CallResult['content'][number];

const UNAVAILABLE = 'the service behind this function is not available';
const NOT_KNOWN = 'and nobody knows whether this call was carried out';
const MAX_REASON = 1000;
/** With these no connection was made. */
const NOT_SENT = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];
const NO_ACCESS = [401, 403];

/** What the model is told, for a function whose server cannot be asked now. */
export function unavailable(why?: string): BridgeError {
  return new BridgeError('TOOL_FAILED', why === undefined ? UNAVAILABLE : `${UNAVAILABLE}: ${why}`);
}

/** What the model is told of a result: an object, or text. Throws TOOL_FAILED for the result of a call that failed. */
export function readResult(result: CallResult): unknown {
  const text = result.content.map(textOf).join('\n');
  if (!result.isError) return result.structuredContent ?? (text === '' ? { ok: true } : text);
  const told = text === '' ? JSON.stringify(result.structuredContent ?? {}) : text;
  throw new BridgeError('TOOL_FAILED', `the function reports: ${cut(withoutCode(told))}`);
}

/** Text is told; of everything else a voice on the telephone can only say that it is there. */
function textOf(content: Content): string {
  const { text, name, uri, mimeType, resource } = content;
  switch (content.type) {
    case 'text':
      return typeof text === 'string' ? text : '';
    case 'resource':
      return named('resource', resourceName(resource));
    case 'resource_link':
      return named('resource', name, uri, mimeType);
    default:
      return named(content.type, mimeType);
  }
}

function resourceName(resource: unknown): unknown {
  return typeof resource === 'object' && resource !== null && 'uri' in resource ? resource.uri : undefined;
}

function named(kind: string, ...details: readonly unknown[]): string {
  const known = details.filter((detail) => typeof detail === 'string' && detail !== '');
  return `[${[kind, ...known].join(' ')}, which cannot be shown here]`;
}

/**
 * The server does not know the session that it was asked in, and has not run the call. The protocol has 404 for this;
 * many servers that were started anew say 400.
 */
export function isForgotten(sdk: Sdk, error: unknown, hasSession: boolean): boolean {
  if (!(error instanceof sdk.StreamableHTTPError)) return false;
  return error.code === 404 || (error.code === 400 && hasSession);
}

/** The credentials in the agents file are not accepted. */
export function isNoAccess(sdk: Sdk, error: unknown): boolean {
  return error instanceof sdk.StreamableHTTPError && NO_ACCESS.includes(error.code ?? 0);
}

/** What the model is told of a call that brought no result. */
export function callFailure(sdk: Sdk, error: unknown, isOver: boolean): BridgeError {
  if (isOver) return unavailable(`it went away in the middle, ${NOT_KNOWN}`);
  if (error instanceof BridgeError) return error;
  if (error instanceof z.core.$ZodError) return unavailable('it gives an answer that cannot be read');
  if (error instanceof sdk.McpError) {
    if (error.data === NOT_OF_THE_SERVER) {
      return unavailable(`${withoutCode(error.message)}, ${NOT_KNOWN}`);
    }
    return new BridgeError('TOOL_FAILED', `the function reports: ${cut(withoutCode(error.message))}`);
  }
  if (error instanceof sdk.StreamableHTTPError) return unavailable(statusReason(error.code));
  return unavailable(
    NOT_SENT.includes(innermost(error).code ?? '') ? undefined : `${BROKEN_OFF}, ${NOT_KNOWN}`,
  );
}

/** Why there is no connection, for the log: no headers, no environment, nothing that was said in a call. */
export function connectFailure(sdk: Sdk, error: unknown): string {
  if (error instanceof sdk.StreamableHTTPError) return statusReason(error.code);
  if (error instanceof sdk.McpError) return `it answers with an error: ${cut(withoutCode(error.message))}`;
  if (error instanceof BridgeError) return error.message;
  if (error instanceof z.core.$ZodError) return 'it gives an answer that cannot be read';
  const { message, code } = innermost(error);
  return code === undefined ? cut(message) : `no connection (${code})`;
}

function statusReason(status: number | undefined): string {
  if (status === 401 || status === 403) return `it does not accept the credentials (HTTP ${status})`;
  if (status !== undefined && status >= 300 && status < 400)
    return `it redirects to another host (HTTP ${status})`;
  if (status === undefined || status < 100) return 'it gives an answer of an unexpected content type';
  return `it answers with HTTP ${status}`;
}

/** `fetch` has the reason in its cause. */
function innermost(error: unknown): { readonly message: string; readonly code: string | undefined } {
  if (!(error instanceof Error)) return { message: String(error), code: undefined };
  if (error.cause instanceof Error) return innermost(error.cause);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return { message: error.message, code };
}

/** The SDK sets it before messages. */
function withoutCode(message: string): string {
  return message.replace(/^MCP error -?\d+: /, '');
}

function cut(text: string): string {
  return shortText(text, MAX_REASON);
}
