import { isObject, type JsonObject } from '../common/json.ts';
import { objectOf, parsed, Refusal, textOf } from './check.ts';
import { INPUT_EVENTS } from './shapes.ts';

/** Its wording is that of livekit/agents#6720. */
const HISTORY_FIRST = 'Chat history should be sent completely before streaming audio.';
/** The wording of public reports; the service gives no limit in the message. */
const HISTORY_TOO_LONG = 'Chat history is over max limit';

/** What a client's events mean, once they are found to be in order. */
export interface IntakeHost {
  readonly historyBytes: { readonly perInput: number; readonly total: number };
  sessionStarted(body: JsonObject): void;
  promptStarted(body: JsonObject): void;
  systemTold(text: string): void;
  historyTold(role: 'USER' | 'ASSISTANT' | 'SYSTEM_SPEECH', text: string): void;
  audioOpened(configuration: JsonObject): void;
  audioCame(bytes: Buffer): void;
  textCame(text: string): void;
  /** True: the model has called this function and waits for its result. */
  isCallOpen(toolUseId: string): boolean;
  resultCame(toolUseId: string, content: string): void;
  promptEnded(): void;
  sessionEnded(): void;
}

type BlockKind = 'system' | 'history' | 'text' | 'audio' | 'tool';

interface Block {
  readonly kind: BlockKind;
  readonly name: string;
  readonly role: string;
  readonly toolUseId: string;
  readonly parts: string[];
}

/** Which parts a block of each kind is made of. */
const PART_OF: Readonly<Record<BlockKind, string>> = {
  system: 'textInput',
  history: 'textInput',
  text: 'textInput',
  audio: 'audioInput',
  tool: 'toolResult',
};

/** Reads the bytes of an event; throws a Refusal. */
export function readEvent(bytes: Buffer): { readonly type: string; readonly body: unknown } {
  const message = parsed(bytes.toString('utf8'));
  const event = isObject(message) ? message['event'] : undefined;
  if (!isObject(message) || !isObject(event) || Object.keys(message).length !== 1) {
    throw new Refusal(
      'Malformed input request: #: expected {"event":{…}}, please reformat your input and try again.',
    );
  }
  const names = Object.keys(event);
  const [type] = names;
  if (type === undefined || names.length !== 1) {
    throw new Refusal(`Malformed input request: #/event: expected one event, found ${names.length}.`);
  }
  return { type, body: event[type] };
}

/** The state of a session as the client builds it up: which events may come, in which order, with which names. */
export class Intake {
  readonly #host: IntakeHost;
  #phase: 'new' | 'session' | 'prompt' | 'prompt over' | 'over' = 'new';
  #promptName = '';
  readonly #names = new Set<string>();
  readonly #open = new Map<string, Block>();
  #hasSystem = false;
  #hasAudio = false;
  #lastRole: string | undefined;
  #historyBytes = 0;

  constructor(host: IntakeHost) {
    this.#host = host;
  }

  /** Takes one event; throws a Refusal for what the service does not accept. */
  handle(type: string, body: unknown): void {
    const rule = Object.hasOwn(INPUT_EVENTS, type) ? INPUT_EVENTS[type] : undefined;
    if (rule === undefined) {
      throw new Refusal(
        `Malformed input request: #/event: extraneous key [${type}] is not permitted, please reformat your input and try again.`,
      );
    }
    rule(body, `#/event/${type}`);
    this.#dispatch(type, body as JsonObject);
  }

  #dispatch(type: string, body: JsonObject): void {
    if (type === 'sessionStart') this.#sessionStart(body);
    else if (type === 'promptStart') this.#promptStart(body);
    else if (type === 'sessionEnd') this.#sessionEnd();
    else {
      this.#checkPrompt(type, body);
      this.#inPrompt(type, body);
    }
  }

  #sessionStart(body: JsonObject): void {
    if (this.#phase !== 'new') throw new Refusal('sessionStart was sent already.');
    this.#phase = 'session';
    this.#host.sessionStarted(body);
  }

  #promptStart(body: JsonObject): void {
    if (this.#phase !== 'session') throw new Refusal(`promptStart is not expected here (${this.#phase}).`);
    this.#phase = 'prompt';
    this.#promptName = textOf(body, 'promptName');
    this.#names.add(this.#promptName);
    this.#host.promptStarted(body);
  }

  #sessionEnd(): void {
    if (this.#phase === 'new' || this.#phase === 'over')
      throw new Refusal('sessionEnd without an open session.');
    if (this.#phase === 'prompt') throw new Refusal('sessionEnd before promptEnd.');
    this.#phase = 'over';
    this.#host.sessionEnded();
  }

  #checkPrompt(type: string, body: JsonObject): void {
    if (this.#phase !== 'prompt') throw new Refusal(`${type} is not expected here (${this.#phase}).`);
    const name = textOf(body, 'promptName');
    if (name !== this.#promptName) throw new Refusal(`${type}: no prompt with the name '${name}' is open.`);
  }

  #inPrompt(type: string, body: JsonObject): void {
    switch (type) {
      case 'contentStart':
        this.#contentStart(body);
        break;
      case 'contentEnd':
        this.#contentEnd(this.#block(type, body));
        break;
      case 'promptEnd':
        this.#promptEnd();
        break;
      default:
        this.#part(type, body);
    }
  }

  #promptEnd(): void {
    const [open] = this.#open.keys();
    if (open !== undefined) throw new Refusal(`promptEnd while the content '${open}' is open.`);
    this.#phase = 'prompt over';
    this.#host.promptEnded();
  }

  #block(type: string, body: JsonObject): Block {
    const name = textOf(body, 'contentName');
    const block = this.#open.get(name);
    if (block === undefined) throw new Refusal(`${type}: no content with the name '${name}' is open.`);
    return block;
  }

  #contentStart(body: JsonObject): void {
    const name = textOf(body, 'contentName');
    if (this.#names.has(name)) throw new Refusal(`contentStart: the name '${name}' was used already.`);
    this.#names.add(name);
    const kind = this.#kindOf(body);
    const result = objectOf(body, 'toolResultInputConfiguration');
    const toolUseId = textOf(result, 'toolUseId');
    this.#checkBlock(kind, textOf(body, 'role'), toolUseId);
    this.#open.set(name, { kind, name, role: textOf(body, 'role'), toolUseId, parts: [] });
    if (kind !== 'audio') return;
    this.#hasAudio = true;
    this.#host.audioOpened(objectOf(body, 'audioInputConfiguration'));
  }

  #kindOf(body: JsonObject): BlockKind {
    if (body['type'] === 'AUDIO') return 'audio';
    if (body['type'] === 'TOOL') return 'tool';
    if (body['role'] === 'SYSTEM') return 'system';
    // Before the audio a sample of the documentation marks history as interactive, others do not: it is history.
    return body['interactive'] === true && this.#hasAudio ? 'text' : 'history';
  }

  #checkBlock(kind: BlockKind, role: string, toolUseId: string): void {
    if (kind === 'system') this.#checkSystem();
    else if (!this.#hasSystem) throw new Refusal('The first content must be the SYSTEM text.');
    const inText = this.#textBlock();
    if (inText !== undefined && kind === 'audio') throw new Refusal(HISTORY_FIRST);
    if (inText !== undefined)
      throw new Refusal(`contentStart while the TEXT content '${inText.name}' is open.`);
    if (kind === 'audio' && this.#hasAudio)
      throw new Refusal('A session has one audio content, and it was opened before.');
    if (kind === 'history') this.#checkHistory(role);
    if (kind === 'text' && role !== 'USER')
      throw new Refusal(`Interactive text must have the role USER, found ${role}.`);
    if (kind === 'tool' && !this.#isResultWanted(toolUseId)) {
      throw new Refusal(`toolResult: no tool use with the id '${toolUseId}' waits for a result.`);
    }
  }

  #isResultWanted(toolUseId: string): boolean {
    const isOpen = [...this.#open.values()].some((block) => block.toolUseId === toolUseId);
    return !isOpen && this.#host.isCallOpen(toolUseId);
  }

  #checkSystem(): void {
    if (this.#hasSystem) throw new Refusal('duplicate SYSTEM content');
    this.#hasSystem = true;
  }

  #checkHistory(role: string): void {
    if (this.#hasAudio) throw new Refusal(HISTORY_FIRST);
    if (this.#lastRole === undefined && role !== 'USER')
      throw new Refusal('Chat history must start with a USER message.');
    if (this.#lastRole === role)
      throw new Refusal('Chat history must alternate between USER and ASSISTANT messages.');
    this.#lastRole = role;
  }

  #textBlock(): Block | undefined {
    for (const block of this.#open.values()) if (PART_OF[block.kind] === 'textInput') return block;
    return undefined;
  }

  #part(type: string, body: JsonObject): void {
    const block = this.#block(type, body);
    if (PART_OF[block.kind] !== type)
      throw new Refusal(`${type} in a content of another type ('${block.name}').`);
    const content = textOf(body, 'content');
    if (type === 'audioInput') this.#audioInput(content);
    else {
      if (block.kind === 'history') this.#countHistory(content);
      block.parts.push(content);
    }
  }

  #audioInput(content: string): void {
    const inText = this.#textBlock();
    if (inText !== undefined)
      throw new Refusal(`audioInput while the TEXT content '${inText.name}' is open.`);
    const bytes = Buffer.from(content, 'base64');
    if (Math.ceil(bytes.length / 3) * 4 !== content.length)
      throw new Refusal('audioInput: the content is not base64.');
    this.#host.audioCame(bytes);
  }

  #countHistory(content: string): void {
    const bytes = Buffer.byteLength(content);
    const { perInput, total } = this.#host.historyBytes;
    this.#historyBytes += bytes;
    if (bytes > perInput || this.#historyBytes > total) throw new Refusal(HISTORY_TOO_LONG);
  }

  #contentEnd(block: Block): void {
    this.#open.delete(block.name);
    if (block.kind === 'audio') return;
    if (block.parts.length === 0) throw new Refusal(`contentEnd: the content '${block.name}' is empty.`);
    const text = block.parts.join('');
    if (block.kind === 'system') this.#host.systemTold(text);
    else if (block.kind === 'history') this.#host.historyTold(roleOf(block.role), text);
    else if (block.kind === 'text') this.#host.textCame(text);
    else this.#result(block.toolUseId, text);
  }

  #result(toolUseId: string, text: string): void {
    if (parsed(text) === undefined) throw new Refusal('Tool Response parsing error');
    this.#host.resultCame(toolUseId, text);
  }
}

function roleOf(role: string): 'USER' | 'ASSISTANT' | 'SYSTEM_SPEECH' {
  return role === 'USER' || role === 'ASSISTANT' ? role : 'SYSTEM_SPEECH';
}
