import type { AudioFormat } from '../../audio/format.ts';
import type { Fields } from '../common/fields.ts';
import type { AudioEnvelope } from './uplink.ts';
import { utf8Pieces } from './utf8.ts';

/** One event that the client sends, by its name: `{"contentEnd": {…}}`. */
export type InputEvent = Readonly<Record<string, Fields>>;

export type TextRole = 'SYSTEM' | 'USER' | 'ASSISTANT';

const PLAIN = { mediaType: 'text/plain' } as const;

/** The part of an audio configuration that both directions have. */
function lpcm(format: AudioFormat): Fields {
  return {
    mediaType: 'audio/lpcm',
    sampleRateHertz: format.rate,
    sampleSizeBits: 16,
    channelCount: 1,
    audioType: 'SPEECH',
    encoding: 'base64',
  };
}

export interface PromptAudio {
  readonly output: AudioFormat;
  readonly voice: string;
}

/** The fields of `promptStart` that say how text, speech and function calls come back. */
export function outputConfiguration({ output, voice }: PromptAudio): Fields {
  return { textOutputConfiguration: PLAIN, audioOutputConfiguration: { ...lpcm(output), voiceId: voice } };
}

/** Writes the events of one prompt; every block of content gets a name of its own. */
export class PromptWriter {
  readonly promptName: string;
  readonly #bytesPerInput: number;
  readonly #newName: () => string;
  #audioName: string | undefined;

  constructor(bytesPerInput: number, newName: () => string) {
    this.promptName = newName();
    this.#newName = newName;
    this.#bytesPerInput = bytesPerInput;
  }

  start(sessionStart: Fields, promptStart: Fields): InputEvent[] {
    return [{ sessionStart }, { promptStart: { promptName: this.promptName, ...promptStart } }];
  }

  /** A whole block. @param interactive the model is to answer it; otherwise it is of the past. */
  text(role: TextRole, content: string, interactive: boolean): InputEvent[] {
    const names = this.#names();
    const contentStart = { ...names, type: 'TEXT', interactive, role, textInputConfiguration: PLAIN };
    // The instructions go in one piece, as every client of this model sends them; a limit is known for the others.
    const pieces = role === 'SYSTEM' ? [content] : utf8Pieces(content, this.#bytesPerInput);
    return [
      { contentStart },
      ...pieces.map((piece) => ({ textInput: { ...names, content: piece } })),
      { contentEnd: names },
    ];
  }

  /** @param content JSON */
  toolResult(toolUseId: string, content: string): InputEvent[] {
    const names = this.#names();
    return [
      {
        contentStart: {
          ...names,
          interactive: false,
          type: 'TOOL',
          role: 'TOOL',
          toolResultInputConfiguration: { toolUseId, type: 'TEXT', textInputConfiguration: PLAIN },
        },
      },
      { toolResult: { ...names, content } },
      { contentEnd: names },
    ];
  }

  /** Opens the one block that takes the caller's audio for the rest of the session. */
  audioStart(input: AudioFormat): InputEvent[] {
    const names = this.#names();
    this.#audioName = names.contentName;
    const audioInputConfiguration = lpcm(input);
    return [
      { contentStart: { ...names, type: 'AUDIO', interactive: true, role: 'USER', audioInputConfiguration } },
    ];
  }

  /** What stands around the base64 of a piece of audio. */
  get envelope(): AudioEnvelope {
    const names = { promptName: this.promptName, contentName: this.#audioName ?? '' };
    const whole = JSON.stringify({ event: { audioInput: { ...names, content: '' } } });
    const cut = whole.lastIndexOf('""') + 1;
    return { head: whole.slice(0, cut), tail: whole.slice(cut) };
  }

  end(): InputEvent[] {
    const { promptName } = this;
    const audio = this.#audioName;
    const audioEnd = audio === undefined ? [] : [{ contentEnd: { promptName, contentName: audio } }];
    return [...audioEnd, { promptEnd: { promptName } }, { sessionEnd: {} }];
  }

  #names(): { readonly promptName: string; readonly contentName: string } {
    return { promptName: this.promptName, contentName: this.#newName() };
  }
}
