import type { Dice } from '../common/dice.ts';
import type { JsonObject } from '../common/json.ts';

/** How a block of output ended. */
export type StopReason = 'PARTIAL_TURN' | 'END_TURN' | 'INTERRUPTED' | 'TOOL_USE';
export type BlockType = 'TEXT' | 'AUDIO' | 'TOOL';

/** What the model sends when the caller cuts in; the spaces are those of the service. */
const INTERRUPTED = '{ "interrupted" : true }';

/** Writes the events of a session: blocks of three parts, and the ids that every event carries. */
export class Output {
  /** Of the client's `promptStart`. */
  promptName = '';
  outputRate = 24_000;
  readonly #dice: Dice;
  readonly #send: (type: string, body: JsonObject) => void;
  readonly #sessionId: string;
  #completionId: string;
  #isOpen = false;

  constructor(dice: Dice, send: (type: string, body: JsonObject) => void) {
    this.#dice = dice;
    this.#send = send;
    this.#sessionId = uuid(dice);
    this.#completionId = uuid(dice);
  }

  emit(type: string, fields: JsonObject): void {
    this.#send(type, {
      completionId: this.#completionId,
      promptName: this.promptName,
      sessionId: this.#sessionId,
      ...fields,
    });
  }

  /** `completionStart`, unless a completion is open. */
  begin(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.emit('completionStart', {});
  }

  /** `completionEnd`; what comes next belongs to another completion. */
  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.emit('completionEnd', { stopReason: 'END_TURN' });
    this.#completionId = uuid(this.#dice);
  }

  /** A whole block of text. */
  text(
    role: 'USER' | 'ASSISTANT',
    generationStage: 'SPECULATIVE' | 'FINAL',
    content: string,
    stopReason: StopReason,
  ): void {
    const contentId = this.open('TEXT', role, {
      additionalModelFields: JSON.stringify({ generationStage }),
      textOutputConfiguration: { mediaType: 'text/plain' },
    });
    this.emit('textOutput', { contentId, role, content });
    this.close(contentId, 'TEXT', stopReason);
  }

  /** Tells that the caller has cut in. */
  interrupted(): void {
    this.text('ASSISTANT', 'FINAL', INTERRUPTED, 'INTERRUPTED');
  }

  openAudio(): string {
    return this.open('AUDIO', 'ASSISTANT', {
      audioOutputConfiguration: {
        audioType: 'SPEECH',
        channelCount: 1,
        encoding: 'base64',
        mediaType: 'audio/lpcm',
        sampleRateHertz: this.outputRate,
        sampleSizeBits: 16,
      },
    });
  }

  audio(contentId: string, bytes: Uint8Array): void {
    const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
    this.emit('audioOutput', { contentId, role: 'ASSISTANT', content });
  }

  toolUse(toolUseId: string, toolName: string, content: string): void {
    const contentId = this.open('TOOL', 'TOOL', {
      toolUseOutputConfiguration: { mediaType: 'application/json' },
    });
    this.emit('toolUse', { contentId, role: 'TOOL', toolUseId, toolName, content });
    this.close(contentId, 'TOOL', 'TOOL_USE');
  }

  open(type: BlockType, role: 'USER' | 'ASSISTANT' | 'TOOL', fields: JsonObject): string {
    const contentId = uuid(this.#dice);
    this.emit('contentStart', { contentId, type, role, ...fields });
    return contentId;
  }

  close(contentId: string, type: BlockType, stopReason: StopReason): void {
    this.emit('contentEnd', { contentId, type, stopReason });
  }
}

/** An id of the shape that the service makes, the same in every run with the same seed. */
export function uuid(dice: Dice): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(dice.roll() * 16).toString(16)).join('');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20),
  ].join('-');
}
