import type { IncomingHttpHeaders } from 'node:http';

/** Which method of the service an upgrade asks for. */
export interface Door {
  readonly endpoint: 'gemini' | 'constrained' | 'vertex';
  readonly apiVersion: string;
  /** What was shown to get in; undefined: nothing. */
  readonly credential: string | undefined;
}

const GEMINI =
  /^\/ws\/google\.ai\.generativelanguage\.(v1|v1alpha|v1beta)\.GenerativeService\.BidiGenerateContent(Constrained)?$/;
const VERTEX = /^\/ws\/google\.cloud\.aiplatform\.(v1|v1beta1)\.LlmBidiService\/BidiGenerateContent$/;

export const GEMINI_PATH = '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';
export const VERTEX_PATH = '/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent';

/** Reads the target of an upgrade; undefined when there is nothing at that path. */
export function readDoor(target: string, headers: IncomingHttpHeaders): Door | undefined {
  // Google's own client joins a base URL and its path with two slashes. Before the URL is parsed, for `//` leads a host.
  const url = new URL(target.replace(/^\/+/, '/'), 'http://localhost');
  const path = url.pathname.replace(/\/+/g, '/');
  const authorization = headers.authorization ?? '';
  const vertex = VERTEX.exec(path);
  if (vertex !== null) {
    const credential = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
    return { endpoint: 'vertex', apiVersion: vertex[1] ?? '', credential };
  }
  const gemini = GEMINI.exec(path);
  if (gemini === null) return undefined;
  const apiVersion = gemini[1] ?? '';
  if (gemini[2] !== undefined) {
    const token = /^Token\s+(\S+)$/i.exec(authorization)?.[1];
    const credential = url.searchParams.get('access_token') ?? token;
    return { endpoint: 'constrained', apiVersion, credential: credential || undefined };
  }
  const header = headers['x-goog-api-key'];
  const key = url.searchParams.get('key') ?? (typeof header === 'string' ? header : undefined);
  return { endpoint: 'gemini', apiVersion, credential: key || undefined };
}
