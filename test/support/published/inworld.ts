import type {
  RealtimeAudioInputTurnDetection,
  RealtimeClientEvent,
  RealtimeSessionCreateRequest,
  SessionUpdateEvent,
} from 'openai/resources/realtime/realtime';

/**
 * Client events of Inworld Realtime. There is neither a package nor a schema: its guide
 * (docs.inworld.ai/realtime/usage/using-realtime-models) says that the events are those of OpenAI Realtime, and lists the
 * fields of a session, which are these.
 */
export type InworldEvent =
  | Exclude<RealtimeClientEvent, SessionUpdateEvent>
  | { readonly type: 'session.update'; readonly event_id?: string; readonly session: Session };

type Shared = Pick<
  RealtimeSessionCreateRequest,
  'instructions' | 'max_output_tokens' | 'tools' | 'tool_choice'
>;

type Format =
  | { readonly type: 'audio/pcm'; readonly rate: 8000 | 16000 | 24000 | 32000 | 44100 | 48000 }
  | { readonly type: 'audio/pcmu' | 'audio/pcma' };

interface Session extends Shared {
  readonly type?: 'realtime';
  /** `openai/gpt-4o-mini`, or a router. */
  readonly model?: string;
  readonly output_modalities?: readonly ('audio' | 'text')[];
  readonly temperature?: number;
  readonly audio?: {
    readonly input?: {
      readonly format?: Format;
      readonly transcription?: {
        readonly model?: string;
        readonly language?: string;
        readonly prompt?: string;
      } | null;
      readonly turn_detection?: RealtimeAudioInputTurnDetection | null;
    };
    readonly output?: {
      readonly format?: Format;
      readonly model?: string;
      readonly voice?: string;
      readonly speed?: number;
    };
  };
  readonly providerData?: Readonly<Record<string, unknown>>;
}
