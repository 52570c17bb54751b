/**
 * Client events of Azure Voice Live as they go over the wire. Microsoft publishes types of what its client takes, with
 * other names; these are what the serializers of @azure/ai-voicelive 1.1.0 make of them, field by field, with the words
 * that its `Known…` lists have. Avatars, animations and what the agents of a hosted project take are left out.
 */
export type VoiceLiveEvent =
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
  | {
      readonly type: 'conversation.item.delete' | 'conversation.item.retrieve';
      readonly event_id?: string;
      readonly item_id: string;
    }
  | {
      readonly type: 'response.create';
      readonly event_id?: string;
      readonly response?: Response;
      readonly additional_instructions?: string;
    }
  | { readonly type: 'response.cancel'; readonly event_id?: string; readonly response_id?: string };

type Modality = 'text' | 'audio';
type OutputFormat = 'pcm16' | 'pcm16_8000hz' | 'pcm16_16000hz' | 'g711_ulaw' | 'g711_alaw';
type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh';
type ToolChoice = 'auto' | 'none' | 'required' | { readonly type: 'function'; readonly name: string };

interface Session {
  readonly model?: string;
  readonly modalities?: readonly Modality[];
  readonly voice?: Voice;
  readonly instructions?: string;
  /** A number there; these are the rates of the service's guide. */
  readonly input_audio_sampling_rate?: 8000 | 16000 | 24000;
  readonly input_audio_format?: 'pcm16' | 'g711_ulaw' | 'g711_alaw';
  readonly output_audio_format?: OutputFormat;
  readonly turn_detection?: TurnDetection;
  readonly input_audio_noise_reduction?: {
    readonly type: 'azure_deep_noise_suppression' | 'near_field' | 'far_field';
  };
  readonly input_audio_echo_cancellation?: {
    readonly type: 'server_echo_cancellation';
    readonly reference_source?: 'server' | 'client';
    readonly channels?: number;
  };
  readonly input_audio_transcription?: {
    readonly model: string;
    readonly language?: string;
    readonly custom_speech?: Readonly<Record<string, string>>;
    readonly phrase_list?: readonly string[];
  };
  readonly output_audio_timestamp_types?: readonly 'word'[];
  readonly tools?: readonly Tool[];
  readonly tool_choice?: ToolChoice;
  readonly temperature?: number;
  readonly max_response_output_tokens?: number | 'inf';
  readonly reasoning_effort?: ReasoningEffort;
  readonly include?: readonly (
    | 'item.input_audio_transcription.logprobs'
    | 'item.input_audio_transcription.phrases'
    | 'file_search_call.results'
  )[];
  readonly metadata?: Readonly<Record<string, string>>;
}

type OpenAiVoice =
  | 'alloy'
  | 'ash'
  | 'ballad'
  | 'coral'
  | 'echo'
  | 'sage'
  | 'shimmer'
  | 'verse'
  | 'marin'
  | 'cedar';

interface AzureVoice {
  readonly name: string;
  readonly temperature?: number;
  readonly custom_lexicon_url?: string;
  readonly custom_text_normalization_url?: string;
  readonly prefer_locales?: readonly string[];
  readonly locale?: string;
  readonly style?: string;
  readonly pitch?: string;
  readonly rate?: string;
  readonly volume?: string;
}

type Voice =
  | OpenAiVoice
  | { readonly type: 'openai'; readonly name: OpenAiVoice }
  | (AzureVoice & { readonly type: 'azure-standard' })
  | (AzureVoice & { readonly type: 'azure-custom'; readonly endpoint_id: string })
  | (AzureVoice & { readonly type: 'azure-personal'; readonly model: string })
  | {
      readonly type: 'azure-realtime-native';
      readonly name:
        | 'aarti'
        | 'andrew'
        | 'ava'
        | 'denise'
        | 'diya'
        | 'elsa'
        | 'florian'
        | 'francisca'
        | 'meera'
        | 'xiaoxiao'
        | 'yunxi'
        | 'ximena';
    };

interface AnyVad {
  readonly threshold?: number;
  readonly prefix_padding_ms?: number;
  readonly silence_duration_ms?: number;
  readonly end_of_utterance_detection?: {
    readonly model:
      | 'semantic_detection_v1'
      | 'semantic_detection_v1_en'
      | 'semantic_detection_v1_multilingual';
    readonly threshold_level?: 'low' | 'medium' | 'high' | 'default';
    readonly timeout_ms?: number;
  };
  readonly auto_truncate?: boolean;
  readonly create_response?: boolean;
  readonly interrupt_response?: boolean;
}

interface SemanticVad extends AnyVad {
  readonly speech_duration_ms?: number;
  readonly remove_filler_words?: boolean;
}

type TurnDetection =
  | (AnyVad & { readonly type: 'server_vad' })
  | (SemanticVad & {
      readonly type: 'azure_semantic_vad' | 'azure_semantic_vad_multilingual';
      readonly languages?: readonly string[];
    })
  | (SemanticVad & { readonly type: 'azure_semantic_vad_en' });

type Tool =
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
      readonly authorization?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly allowed_tools?: readonly string[];
      readonly require_approval?: 'never' | 'always';
    };

type Status = 'completed' | 'incomplete';

interface InputText {
  readonly type: 'input_text';
  readonly text: string;
}

interface InputAudio {
  readonly type: 'input_audio';
  readonly audio: string;
  readonly transcript?: string;
}

interface AssistantMessage {
  readonly type: 'message';
  readonly role: 'assistant';
  readonly content: readonly { readonly type: 'text'; readonly text: string }[];
  readonly status?: Status;
  readonly id?: string;
}

type Item =
  | AssistantMessage
  | {
      readonly type: 'message';
      readonly role: 'system';
      readonly content: readonly InputText[];
      readonly status?: Status;
      readonly id?: string;
    }
  | {
      readonly type: 'message';
      readonly role: 'user';
      readonly content: readonly (InputText | InputAudio)[];
      readonly status?: Status;
      readonly id?: string;
    }
  | {
      readonly type: 'function_call';
      readonly id?: string;
      readonly name: string;
      readonly call_id: string;
      readonly arguments: string;
      readonly status?: Status;
    }
  | {
      readonly type: 'function_call_output';
      readonly id?: string;
      readonly call_id: string;
      readonly output: string;
      readonly status?: Status;
    };

interface Response {
  readonly commit?: boolean;
  readonly cancel_previous?: boolean;
  readonly append_input_items?: readonly Item[];
  readonly input_items?: readonly Item[];
  readonly modalities?: readonly Modality[];
  readonly instructions?: string;
  readonly voice?: Voice;
  readonly output_audio_format?: OutputFormat;
  readonly tools?: readonly Tool[];
  /** Only the word, as its type has it there. */
  readonly tool_choice?: 'auto' | 'none' | 'required';
  readonly temperature?: number;
  readonly max_output_tokens?: number | 'inf';
  readonly pre_generated_assistant_message?: AssistantMessage;
  readonly reasoning_effort?: ReasoningEffort;
  readonly metadata?: Readonly<Record<string, string>>;
}
