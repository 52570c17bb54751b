import type { Cancel } from '../../clock.ts';
import { isObject, type JsonObject } from '../common/json.ts';
import { defaultPlan, defaultTranscript } from '../common/plan.ts';
import type { ConversationTurn, Hearing, ResponsePlan, TurnKind } from './api.ts';
import { Calls } from './calls.ts';
import type { Core } from './core.ts';
import { Ears, type EarsHost } from './ears.ts';
import type { ClientMessage } from './messages.ts';
import { ModelTurn, type TurnStage } from './model-turn.ts';
import { updateContext } from './setup.ts';
import { words } from './spoken.ts';
import { invalid, Refusal } from './wire.ts';

/** How long the transcriber takes when no script says otherwise, in ms. */
const TRANSCRIBE_MS = 150;
/** Words in one fragment of a transcription. */
const FRAGMENT_WORDS = 3;

interface Wish {
  readonly kind: TurnKind;
  readonly heardMs: number;
}

/** What the dialogue tells the connection that it belongs to. */
export interface DialogueHost {
  audioSent(bytes: Uint8Array, ms: number): void;
  /** The model begins to do something, or has nothing to do any more. */
  busy(isBusy: boolean): void;
}

/** One session as the protocol sees it, after its setup: what a client message does. */
export class Dialogue implements EarsHost, TurnStage {
  readonly ears: Ears;
  readonly calls: Calls;
  lateDeltas = 0;
  readonly #core: Core;
  readonly #host: DialogueHost;
  #turn: ModelTurn | undefined;
  /** What the model will do as soon as it can. */
  #wish: Wish | undefined;
  #turns = 0;
  #heard = 0;
  #lateCut: Cancel | undefined;
  #afterAnswer: (() => void)[] = [];
  /** The history is being told: what comes in real time has to wait. */
  #held: JsonObject[] | undefined;
  #isClosed = false;

  constructor(core: Core, host: DialogueHost) {
    this.#core = core;
    this.#host = host;
    this.ears = new Ears(core, this);
    this.calls = new Calls(core);
  }

  /** The setup was accepted. */
  open(): void {
    const { config } = this.#core;
    this.ears.configure(config.detection);
    if (config.historyFirst) this.#held = [];
  }

  get turn(): ModelTurn | undefined {
    return this.#turn;
  }

  get isBusy(): boolean {
    return this.#turn !== undefined || this.calls.pending.length > 0;
  }

  /** Throws a Refusal when the service would close the connection. */
  handle({ kind, body }: ClientMessage): void {
    switch (kind) {
      case 'setup':
        throw invalid('a session has one setup');
      case 'realtimeInput':
        if (this.#held === undefined) this.#realtime(body);
        else this.#held.push(body);
        break;
      case 'clientContent':
        this.#content(body);
        break;
      case 'toolResponse':
        this.#answers(body);
        break;
      case 'contextUpdate':
        this.#core.config = updateContext(this.#core.config, body);
        break;
    }
  }

  #realtime(body: JsonObject): void {
    this.#checkGate();
    let isEmpty = true;
    for (const name in body) {
      isEmpty = false;
      this.#realtimePart(name, body[name]);
    }
    if (isEmpty) throw invalid('realtimeInput holds nothing');
  }

  #realtimePart(name: string, value: unknown): void {
    switch (name) {
      case 'audio':
        this.ears.audio(value as JsonObject);
        break;
      case 'mediaChunks':
        this.#mediaChunks(value as readonly JsonObject[]);
        break;
      case 'text':
        this.#text(String(value));
        break;
      case 'audioStreamEnd':
        if (value === true) this.ears.streamEnd();
        break;
      case 'activityStart':
        this.ears.activityStart();
        break;
      case 'activityEnd':
        this.ears.activityEnd();
        break;
      // Pictures are taken, and nobody looks at them.
      default:
        break;
    }
  }

  #checkGate(): void {
    const { inputDuringCall } = this.#core.settings;
    if (inputDuringCall === 'heard' || this.#turn?.state !== 'waiting') return;
    const reason =
      inputDuringCall === 1008
        ? 'Operation is not implemented, or supported, or enabled.'
        : 'Internal error encountered.';
    throw new Refusal(inputDuringCall, reason, 'realtimeInput came while the model waited for a function');
  }

  #mediaChunks(chunks: readonly JsonObject[]): void {
    if (!this.#core.config.generation.mediaChunks) {
      throw new Refusal(
        1007,
        'realtime_input.media_chunks is deprecated. Use audio, video, or text instead.',
      );
    }
    for (const chunk of chunks) {
      if (String(chunk['mimeType']).startsWith('audio/')) this.ears.audio(chunk);
    }
  }

  #text(text: string): void {
    const kind = this.#core.conversation.isEmpty ? 'greeting' : 'text';
    this.#core.conversation.add(told('user', [{ text }], 'text'));
    this.#turn?.cut('prompt');
    this.#ask({ kind, heardMs: 0 });
  }

  #content(body: JsonObject): void {
    const { generation } = this.#core.config;
    const isHistory = this.#held !== undefined;
    if (generation.clientContent === 'history' && !isHistory) {
      throw invalid(`clientContent is for the announced history only in ${generation.name}`);
    }
    const wasEmpty = this.#core.conversation.isEmpty;
    const turns = this.#readTurns(body['turns']);
    for (const turn of turns) this.#core.conversation.add(turn);
    const isComplete = body['turnComplete'] === true;
    if (isHistory) {
      if (isComplete) this.#historyOver();
      return;
    }
    if (isComplete || this.#core.settings.contentInterrupts) this.#turn?.cut('prompt');
    if (!isComplete) return;
    const kind = wasEmpty ? 'greeting' : this.#core.conversation.hasFresh ? 'text' : 'prompt';
    this.#ask({ kind, heardMs: 0 });
  }

  /** The announced history makes the model say nothing; what came in the meantime is heard now. */
  #historyOver(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#core.conversation.takeFresh();
    for (const body of held) this.#realtime(body);
  }

  #readTurns(given: unknown): readonly ConversationTurn[] {
    const turns = Array.isArray(given) ? (given as readonly JsonObject[]) : [];
    return turns.map((turn) => {
      const role = turn['role'] ?? 'user';
      const isKnown = role === 'user' || role === 'model' || role === 'system';
      if (!isKnown || (role === 'system' && !this.#core.config.generation.systemRole)) {
        throw new Refusal(1007, 'Please use a valid role: user, model.');
      }
      const parts = turn['parts'];
      if (!Array.isArray(parts) || parts.length === 0) throw invalid('a turn needs parts');
      return told(role, parts as readonly JsonObject[], 'content');
    });
  }

  #answers(body: JsonObject): void {
    const turn = this.#turn;
    const { unblocked, wish } = this.calls.answer(body);
    if (turn?.state === 'waiting') {
      if (unblocked) this.#run(turn, { kind: 'tool-result', heardMs: 0 });
      return;
    }
    if (wish === 'at-once') turn?.cut('prompt');
    const talksOver = wish === 'at-once' && this.#core.config.generation.talksOver;
    if (wish !== 'none') this.#ask({ kind: 'tool-result', heardMs: 0 }, talksOver);
    else this.#next();
    if (!this.isBusy) this.#host.busy(false);
  }

  /** The service calls functions off by itself; returns which ones. */
  cancelCalls(given?: readonly string[]): readonly string[] {
    const ids = this.calls.cancel(given);
    if (ids.length === 0) return ids;
    this.#core.emit({ toolCallCancellation: { ids } });
    if (this.#turn?.state === 'waiting' && !this.calls.isBlocked) this.#turn.finish();
    if (!this.isBusy) this.#host.busy(false);
    this.#nextOrEnd();
    return ids;
  }

  callerStarted(): void {
    const { settings, config } = this.#core;
    const turn = this.#turn;
    if (turn === undefined || !config.detection.interrupts) return;
    if (settings.interruption !== 'late') {
      turn.cut(settings.interruption);
      return;
    }
    this.#lateCut ??= this.#core.scheduler.after(settings.interruptedMs, () => {
      this.#lateCut = undefined;
      turn.cut('prompt');
    });
  }

  callerStopped(heardMs: number): void {
    const hearing = this.#core.settings.hear({ index: this.#heard++, heardMs }) ?? {};
    const text = hearing.transcript ?? defaultTranscript(heardMs);
    this.#core.conversation.add({
      role: 'user',
      parts: [{ text }],
      source: 'speech',
      heardMs,
      sentMs: 0,
      interrupted: false,
    });
    if (this.#core.config.transcribesCaller) this.#planTranscript(text, hearing);
    this.#ask({ kind: 'user-turn', heardMs });
  }

  #planTranscript(text: string, hearing: Hearing): void {
    const send = (): void => this.#sendTranscript(text);
    if (hearing.after === 'response') this.#afterAnswer.push(send);
    else this.#core.scheduler.after(hearing.after ?? TRANSCRIBE_MS, send);
  }

  #sendTranscript(text: string): void {
    if (this.#isClosed) return;
    const { interimTranscripts, finishedTranscripts } = this.#core.settings;
    if (interimTranscripts) this.#core.content({ interimInputTranscription: { text } });
    const pieces = words(text);
    for (let at = 0; at < pieces.length; at += FRAGMENT_WORDS) {
      const isLast = at + FRAGMENT_WORDS >= pieces.length;
      const finished = finishedTranscripts && isLast ? { finished: true } : {};
      const fragment = pieces.slice(at, at + FRAGMENT_WORDS).join('');
      this.#core.content({ inputTranscription: { text: fragment, ...finished } });
    }
  }

  /** Has the model take its turn, now or when it can. */
  #ask(wish: Wish, talksOver = false): void {
    // A turn of the caller is more than what was wished before; the model sees both.
    if (this.#wish === undefined || wish.kind === 'user-turn') this.#wish = wish;
    this.#next(talksOver);
  }

  #next(talksOver = false): void {
    const wish = this.#wish;
    if (wish === undefined || this.#isClosed) return;
    if (this.#turn !== undefined || this.calls.isBlocked) return;
    if (this.ears.isSpeaking && !talksOver) return;
    this.#wish = undefined;
    this.#fitContext();
    this.#run(new ModelTurn(this.#core, this), wish);
  }

  /** Makes room in the context, or ends the session for the want of it. */
  #fitContext(): void {
    const { conversation, config, settings } = this.#core;
    const { text, audio } = conversation.tokens();
    if (config.compression !== undefined) {
      if (text + audio > config.compression.triggerTokens)
        conversation.slide(config.compression.targetTokens);
    } else if (text + audio > settings.contextTokens) {
      throw invalid(`the conversation has more than ${settings.contextTokens} tokens`);
    }
  }

  #run(turn: ModelTurn, wish: Wish): void {
    const { conversation, config, connection, settings } = this.#core;
    const fresh = conversation.takeFresh();
    const asked = {
      index: this.#turns++,
      kind: wish.kind,
      connection,
      instructions: config.instructions,
      heardMs: wish.kind === 'user-turn' ? wish.heardMs : 0,
      conversation: conversation.turns,
      fresh,
      tools: config.tools,
    };
    const plan: ResponsePlan = settings.respond(asked) ?? defaultPlan(asked);
    if (plan.silent !== true) this.#start(turn, plan);
    else if (this.#turn === turn) turn.finish();
  }

  #start(turn: ModelTurn, plan: ResponsePlan): void {
    const isNew = this.#turn !== turn;
    this.#turn = turn;
    if (isNew) this.#host.busy(true);
    turn.run(plan);
  }

  /** Carries out a plan that nobody asked for; false when the model cannot take a turn. */
  speak(plan: ResponsePlan): boolean {
    if (this.#turn !== undefined || this.calls.isBlocked) return false;
    this.#start(new ModelTurn(this.#core, this), plan);
    return true;
  }

  audioSent(bytes: Uint8Array, ms: number): void {
    this.#host.audioSent(bytes, ms);
  }

  turnOver(turn: ModelTurn): void {
    if (this.#turn !== turn) return;
    this.#turn = undefined;
    this.#lateCut?.();
    this.#lateCut = undefined;
    const late = this.#afterAnswer;
    this.#afterAnswer = [];
    for (const send of late) send();
    if (!this.isBusy) this.#host.busy(false);
    this.#nextOrEnd();
  }

  /** For wishes that are taken up when no client message is being handled, so that nobody catches a Refusal. */
  #nextOrEnd(): void {
    try {
      this.#next();
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      this.#core.end({ code: thrown.code, reason: thrown.reason });
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#turn?.abandon();
    this.#turn = undefined;
    this.#lateCut?.();
  }
}

function told(
  role: ConversationTurn['role'],
  parts: readonly JsonObject[],
  source: ConversationTurn['source'],
): ConversationTurn {
  const copies = parts.filter(isObject);
  return { role, parts: copies, source, heardMs: 0, sentMs: 0, interrupted: false };
}
