import type { WireEvent } from './wire.ts';

/** The event without its audio, of which only the number of bytes is told. */
export function withoutAudio(event: WireEvent): WireEvent {
  if (event.type === 'response.output_audio.delta') return replaced(event, 'delta');
  if (event.type === 'input_audio_buffer.append') return replaced(event, 'audio');
  return event;
}

function replaced(event: WireEvent, field: string): WireEvent {
  const { [field]: audio, ...rest } = event;
  const bytes = typeof audio === 'string' ? Buffer.byteLength(audio, 'base64') : 0;
  return { ...rest, bytes } as unknown as WireEvent;
}
