import type { IncomingHttpHeaders } from 'node:http2';
import { RETIRED } from './catalog.ts';

const PATH = /^\/model\/([^/]+)\/invoke-with-bidirectional-stream$/;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([a-z0-9-]+)\/bedrock\/aws4_request,\s*SignedHeaders=([a-z0-9:;-]+),\s*Signature=([0-9a-f]{64})$/;
const STREAMING = 'STREAMING-AWS4-HMAC-SHA256-EVENTS';

/** A request that is answered before anything is streamed. */
export interface HttpRefusal {
  readonly status: number;
  readonly errorType: string;
  readonly message: string;
}

/** What a request asks for. */
export interface Wish {
  readonly model: string;
}

const TYPES: Readonly<Record<number, string>> = {
  400: 'ValidationException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  408: 'ModelTimeoutException',
  424: 'ModelErrorException',
  429: 'ThrottlingException',
  500: 'InternalServerException',
  503: 'ServiceUnavailableException',
};

/** The type of error that goes with a status. */
export function errorTypeOf(status: number): string {
  return TYPES[status] ?? 'UnknownError';
}

function refusal(status: number, message: string, errorType = errorTypeOf(status)): HttpRefusal {
  return { status, errorType, message };
}

/** Reads the head of a request, or says how it is refused. */
export function readWish(
  headers: IncomingHttpHeaders,
  accessKeyId: string | undefined,
  models: readonly string[] | 'any',
): Wish | HttpRefusal {
  const path = PATH.exec(String(headers[':path'] ?? ''));
  if (path === null || headers[':method'] !== 'POST') {
    return refusal(404, 'The operation is not known.', 'UnknownOperationException');
  }
  const denied = checkSignature(headers, accessKeyId);
  if (denied !== undefined) return denied;
  if (headers['content-type'] !== 'application/vnd.amazon.eventstream') {
    return refusal(415, 'The content type is not supported.', 'UnsupportedMediaTypeException');
  }
  const model = modelOf(path[1] ?? '');
  if (model === undefined) return refusal(400, NO_MODEL);
  // An ARN ends with the name.
  const name = model.slice(model.lastIndexOf('/') + 1);
  if (models === 'any' || models.includes(name)) return { model };
  // What Bedrock says of models in general; here the stream has also been seen to end without a word (BerriAI/litellm#42053).
  return RETIRED.includes(name) ? refusal(404, OVER) : refusal(400, NO_MODEL);
}

const NO_MODEL = 'The provided model identifier is invalid.';
const OVER =
  'This model version has reached the end of its life. Please refer to the AWS documentation for more details.';

function modelOf(escaped: string): string | undefined {
  try {
    return decodeURIComponent(escaped);
  } catch {
    return undefined;
  }
}

/** Only the shape: what the signature is worth is not checked. */
function checkSignature(
  headers: IncomingHttpHeaders,
  accessKeyId: string | undefined,
): HttpRefusal | undefined {
  const { authorization } = headers;
  if (authorization === undefined) {
    return refusal(403, 'Missing Authentication Token', 'MissingAuthenticationTokenException');
  }
  const [, key, day, , signed] = AUTHORIZATION.exec(authorization) ?? [];
  const date = String(headers['x-amz-date'] ?? '');
  const isDated = /^\d{8}T\d{6}Z$/.test(date) && date.startsWith(day ?? '-');
  if (key === undefined || !isHostSigned(signed) || !isDated) {
    return refusal(403, 'The authorization header is incomplete.', 'IncompleteSignatureException');
  }
  if (headers['x-amz-content-sha256'] !== STREAMING) {
    return refusal(403, 'The request is not signed as an event stream.', 'InvalidSignatureException');
  }
  if (accessKeyId === undefined || key === accessKeyId) return undefined;
  return refusal(
    403,
    'The security token included in the request is invalid.',
    'UnrecognizedClientException',
  );
}

/** HTTP/2 has `:authority` in the place of `host`. */
function isHostSigned(signed: string | undefined): boolean {
  const names = signed?.split(';') ?? [];
  return names.includes('host') || names.includes(':authority');
}
