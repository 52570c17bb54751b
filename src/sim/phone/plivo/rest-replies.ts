import { randomUUID } from 'node:crypto';
import type { RestReply, RestRequest } from '../carrier-sim.ts';

/** A request's JSON. */
export type Body = Readonly<Record<string, unknown>>;

/** The JSON object of a request, empty when there is none; undefined for anything else. */
export function readBody({ body }: RestRequest): Body | undefined {
  if (body.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** A field as text, trimmed; empty when it is not there. */
export function text(body: Body, name: string): string {
  const value = body[name];
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** Done, or begun. */
export function accepted(status: 201 | 202, message: string, more: Body = {}): RestReply {
  return { status, body: { message, api_id: randomUUID(), ...more } };
}

/** Plivo's form of an error. */
export function errorReply(status: number, error: string): RestReply {
  return { status, body: { api_id: randomUUID(), error } };
}

/** For what is not there, or not any more: calls that are over too. */
export function notFound(): RestReply {
  return errorReply(404, 'not found');
}

/** For a field that is missing or cannot be used. */
export function badRequest(error: string): RestReply {
  return errorReply(400, error);
}
