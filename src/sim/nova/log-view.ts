import type { TypedEvent } from '../common/event-log.ts';
import type { NovaEvent } from './api.ts';

/** The event without its audio, of which only the number of bytes is told. */
export function withoutAudio(event: NovaEvent): TypedEvent {
  if (event.type !== 'audioInput' && event.type !== 'audioOutput') return event;
  const { content, ...rest } = event.body;
  const bytes = typeof content === 'string' ? Buffer.byteLength(content, 'base64') : 0;
  return { type: event.type, body: { ...rest, bytes } };
}

/** How a script may call the event: its type, and for the ends of a block its type with that of the block. */
export function namesOf(event: NovaEvent): readonly string[] {
  const { type, body } = event;
  const block = body['type'];
  return typeof block === 'string' ? [type, `${type}:${block}`] : [type];
}
