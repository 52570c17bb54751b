/**
 * Input events of Amazon Nova 2 Sonic. AWS publishes them in no package: these are those of the user guide
 * (docs.aws.amazon.com/nova/latest/nova2-userguide/sonic-input-events.html), field by field.
 */
export interface NovaInput {
  readonly event:
    | { readonly sessionStart: SessionStart }
    | { readonly promptStart: PromptStart }
    | { readonly contentStart: TextStart | AudioStart | ToolStart }
    | { readonly textInput: Content }
    | { readonly audioInput: Content }
    | { readonly toolResult: Content }
    | { readonly contentEnd: Block }
    | { readonly promptEnd: { readonly promptName: string } }
    | { readonly sessionEnd: Record<string, never> };
}

type Rate = 8000 | 16000 | 24000;

interface SessionStart {
  readonly inferenceConfiguration: {
    readonly maxTokens: number;
    readonly topP: number;
    readonly temperature: number;
  };
  readonly turnDetectionConfiguration?: { readonly endpointingSensitivity: 'HIGH' | 'MEDIUM' | 'LOW' };
}

interface PromptStart {
  readonly promptName: string;
  readonly textOutputConfiguration: { readonly mediaType: 'text/plain' };
  readonly audioOutputConfiguration: {
    readonly mediaType: 'audio/lpcm';
    readonly sampleRateHertz: Rate;
    readonly sampleSizeBits: 16;
    readonly channelCount: 1;
    readonly voiceId: string;
    readonly encoding: 'base64';
    readonly audioType: 'SPEECH';
  };
  readonly toolUseOutputConfiguration?: { readonly mediaType: 'application/json' };
  readonly toolConfiguration?: {
    readonly tools: readonly {
      readonly toolSpec: {
        readonly name: string;
        readonly description: string;
        readonly inputSchema: { readonly json: string };
      };
    }[];
    readonly toolChoice?:
      | { readonly auto: Record<string, never> }
      | { readonly any: Record<string, never> }
      | { readonly tool: { readonly name: string } };
  };
}

interface Block {
  readonly promptName: string;
  readonly contentName: string;
}

interface Content extends Block {
  readonly content: string;
}

interface TextStart extends Block {
  readonly type: 'TEXT';
  readonly interactive: boolean;
  readonly role: 'SYSTEM' | 'USER' | 'ASSISTANT' | 'SYSTEM_SPEECH';
  readonly textInputConfiguration: { readonly mediaType: 'text/plain' };
}

interface AudioStart extends Block {
  readonly type: 'AUDIO';
  readonly interactive: true;
  readonly role: 'USER';
  readonly audioInputConfiguration: {
    readonly mediaType: 'audio/lpcm';
    readonly sampleRateHertz: Rate;
    readonly sampleSizeBits: 16;
    readonly channelCount: 1;
    readonly audioType: 'SPEECH';
    readonly encoding: 'base64';
  };
}

interface ToolStart extends Block {
  readonly type: 'TOOL';
  readonly interactive: false;
  readonly role: 'TOOL';
  readonly toolResultInputConfiguration: {
    readonly toolUseId: string;
    readonly type: 'TEXT';
    readonly textInputConfiguration: { readonly mediaType: 'text/plain' };
  };
}
