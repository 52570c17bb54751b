import type { WireEvent } from './wire.ts';

/** Fields with audio in base64, by the type of the event. */
const AUDIO: Readonly<Record<string, string>> = {
  'session.input_audio.append': 'audio',
  'session.output_audio.delta': 'delta',
  'session.output_audio.fixture.play': 'audio',
};

/** The event without its audio, of which only the number of bytes is told. */
export function withoutAudio(event: WireEvent): WireEvent {
  const field = AUDIO[event.type];
  if (field === undefined) return event;
  const { [field]: audio, ...rest } = event;
  const bytes = typeof audio === 'string' ? Buffer.byteLength(audio, 'base64') : 0;
  return { ...rest, bytes } as unknown as WireEvent;
}
