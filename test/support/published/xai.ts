/**
 * Client events of xAI's Voice Agent API. xAI publishes them in no package but as a schema
 * (docs.x.ai/voice-realtime.ws.json) and a guide (docs.x.ai/developers/model-capabilities/audio/speech-to-speech): these
 * are its nine events, field by field. Where the two differ, both forms are here and a comment says so.
 */
export type XaiEvent =
  | { readonly type: 'session.update'; readonly event_id?: string; readonly session: Session }
  | { readonly type: 'input_audio_buffer.append'; readonly event_id?: string; readonly audio: string }
  | { readonly type: 'input_audio_buffer.commit' | 'input_audio_buffer.clear'; readonly event_id?: string }
  | {
      readonly type: 'conversation.item.create';
      readonly event_id?: string;
      readonly previous_item_id?: string;
      readonly item: Item;
    }
  | {
      readonly type: 'conversation.item.truncate';
      readonly event_id?: string;
      readonly item_id: string;
      readonly content_index: number;
      readonly audio_end_ms: number;
    }
  | { readonly type: 'conversation.item.delete'; readonly event_id?: string; readonly item_id: string }
  | { readonly type: 'response.create'; readonly event_id?: string; readonly response?: Response }
  | { readonly type: 'response.cancel'; readonly event_id?: string; readonly response_id?: string };

/** Nothing else: a type, modalities and `tool_choice` are OpenAI's. */
interface Session {
  readonly model?: string;
  readonly instructions?: string;
  readonly reasoning?: { readonly effort: 'high' | 'none' };
  readonly voice?: string;
  readonly turn_detection?: {
    readonly type: 'server_vad' | null;
    readonly threshold?: number;
    readonly silence_duration_ms?: number;
    readonly prefix_padding_ms?: number;
    readonly idle_timeout_ms?: number | null;
  };
  readonly resumption?: { readonly enabled: boolean };
  readonly audio?: {
    readonly input?: {
      readonly format?: Format;
      readonly transport?: 'json' | 'binary';
      readonly transcription?: {
        // Not among the schema's fields of it, but in the schema's description of `…transcription.updated`.
        readonly model?: 'grok-transcribe';
        readonly language_hint?: string;
        readonly keyterms?: readonly string[];
      };
    };
    readonly output?: {
      readonly format?: Format;
      readonly transport?: 'json' | 'binary';
      readonly speed?: number;
    };
  };
  readonly tools?: readonly Tool[];
  readonly replace?: Readonly<Record<string, string>>;
}

type Format =
  | {
      readonly type: 'audio/pcm';
      readonly rate?: 8000 | 16000 | 22050 | 24000 | 32000 | 44100 | 48000;
    }
  | { readonly type: 'audio/pcmu' | 'audio/pcma'; readonly rate?: 8000 }
  | { readonly type: 'audio/opus'; readonly rate?: 24000 };

type Tool =
  // As the guide has it; the schema has the same three under `function`.
  | {
      readonly type: 'function';
      readonly name: string;
      readonly description?: string;
      readonly parameters?: unknown;
    }
  | {
      readonly type: 'mcp';
      readonly server_label: string;
      readonly server_url: string;
      readonly server_description?: string;
      readonly allowed_tools?: readonly string[];
      readonly authorization?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | {
      readonly type: 'web_search';
      readonly allowed_domains?: readonly string[];
      readonly excluded_domains?: readonly string[];
      readonly enable_image_understanding?: boolean;
    }
  | {
      readonly type: 'x_search';
      readonly allowed_x_handles?: readonly string[];
      readonly excluded_x_handles?: readonly string[];
      readonly from_date?: string;
      readonly to_date?: string;
      readonly enable_image_understanding?: boolean;
    }
  | {
      readonly type: 'file_search';
      readonly vector_store_ids: readonly string[];
      readonly max_num_results?: number;
    };

interface Text<Type extends string> {
  readonly type: Type;
  readonly text: string;
}

interface InputAudio {
  readonly type: 'input_audio';
  readonly audio: string;
}

type Item =
  | {
      readonly type: 'message';
      readonly id?: string;
      readonly role: 'user' | 'system';
      readonly content: readonly (Text<'input_text' | 'text'> | InputAudio)[];
    }
  | {
      readonly type: 'message';
      readonly id?: string;
      readonly role: 'assistant';
      // The schema has `text`; the guide's examples, and livekit/agents, say `output_text` for what the agent said.
      readonly content: readonly Text<'text' | 'output_text'>[];
    }
  | {
      readonly type: 'function_call';
      readonly id?: string;
      readonly call_id: string;
      readonly name: string;
      readonly arguments: string;
    }
  | {
      readonly type: 'function_call_output';
      readonly id?: string;
      readonly call_id: string;
      readonly output: string;
    }
  | {
      readonly type: 'force_message';
      readonly role: 'assistant';
      readonly interruptible?: boolean;
      readonly content: readonly Text<'output_text'>[];
    };

interface Response {
  readonly modalities?: readonly ('text' | 'audio')[];
  readonly instructions?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}
