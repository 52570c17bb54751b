import { MULAW_8K } from '../../src/audio/format.ts';
import { systemClock } from '../../src/clock.ts';
import type { ConnectRequest, ProviderEvent } from '../../src/provider.ts';

/** What a call would ask a provider for. */
export function requestOf(over: Partial<ConnectRequest> = {}): ConnectRequest {
  return {
    instructions: 'Be brief.',
    voice: undefined,
    language: undefined,
    tools: [],
    turnDetection: {},
    transcribeCaller: true,
    preferredFormats: [MULAW_8K],
    history: [],
    overrides: {},
    clock: systemClock,
    ...over,
  };
}

/** The event for later: bytes of audio are only valid while it is told. */
export function kept(event: ProviderEvent): ProviderEvent {
  return event.type === 'audio' ? { ...event, bytes: Uint8Array.from(event.bytes) } : event;
}
