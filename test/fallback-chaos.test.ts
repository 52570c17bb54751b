import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { defineTool } from '../src/tools.ts';
import type { TranscriptEntry } from '../src/transcript.ts';
import { REOPENING } from './support/call-kit.ts';
import { type Failover, texts, up } from './support/failover-kit.ts';
import { type ManualProvider, settled } from './support/manual-provider.ts';
import { seeded } from './support/signal.ts';
import type { VirtualLeg } from './support/virtual-leg.ts';

/** One word is so long, in ms. */
const WORD_MS = 100;
const CODES = ['PROVIDER_CLOSED', 'PROVIDER_UNAVAILABLE', 'PROVIDER_RATE_LIMITED'] as const;

/** What was heard of everything that has a sound of its own, in ms, of all legs. */
class Ear {
  readonly #heard = new Map<number, number>();
  #waiting: { readonly value: number; readonly from: number; readonly ms: number }[] = [];
  #emptyAt = 0;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  listen(leg: VirtualLeg): void {
    const play = leg.play.bind(leg);
    const clear = leg.clear.bind(leg);
    leg.play = (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        const value = bytes[at] ?? 0;
        let end = at;
        while (end < bytes.length && bytes[end] === value) end += 1;
        const from = Math.max(this.#emptyAt, this.#now());
        this.#waiting.push({ value, from, ms: (end - at) / 8 });
        this.#emptyAt = from + (end - at) / 8;
        at = end;
      }
      play(bytes);
    };
    leg.clear = () => {
      this.cut();
      clear();
    };
  }

  /** Whatever has not been heard by now never is. */
  cut(): void {
    for (const { value, from, ms } of this.#waiting.splice(0)) {
      const heard = Math.max(0, Math.min(ms, this.#now() - from));
      this.#heard.set(value, (this.#heard.get(value) ?? 0) + heard);
    }
    this.#emptyAt = this.#now();
  }

  wordsOf(value: number): number {
    return (this.#heard.get(value) ?? 0) / WORD_MS;
  }
}

interface Spoken {
  /** Of its audio: no two items sound alike. */
  readonly value: number;
  readonly first: string;
  words: number;
  /** Its session died before all of it had come, so how much of its text was said is guessed. */
  ragged: boolean;
}

interface OpenResponse {
  readonly responseId: string;
  readonly itemId: string;
  readonly spoken: Spoken;
}

/** A call in which everything happens that may, in an order that the seed says. */
class Chaos {
  readonly kit: Failover;
  readonly ear: Ear;
  readonly spoken: Spoken[] = [];
  /** Ends the functions that run. */
  readonly runs: Map<string, () => void>;
  readonly #random: () => number;
  #count = 0;
  #open: OpenResponse | undefined;
  #served = new Map<ManualProvider, number>();
  #speaks = false;
  #lastDialled = 0;

  constructor(kit: Failover, random: () => number, runs: Map<string, () => void>) {
    this.kit = kit;
    this.runs = runs;
    this.#random = random;
    this.ear = new Ear(() => kit.clock.now());
    this.ear.listen(kit.call.leg);
  }

  get providers(): readonly ManualProvider[] {
    return [this.kit.a, this.kit.b, this.kit.c];
  }

  /** Who has the call, if what it says now is heard as its. */
  get live(): ManualProvider | undefined {
    const { events, call } = this.kit;
    const last = events.findLast(
      (event) =>
        event.type === 'providerReady' || (event.type === 'providerFailed' && event.phase === 'in-call'),
    );
    if (last?.type !== 'providerReady' || call.endReason !== undefined) return undefined;
    const live = this.providers.find(({ name }) => name === last.provider);
    const dialled = this.providers.reduce((sum, one) => sum + one.dialled, 0);
    return dialled === this.#lastDialled ? live : undefined;
  }

  async step(): Promise<void> {
    const { live, providers } = this;
    if (live === undefined) {
      this.#abandon();
      for (const one of providers) {
        if (this.#chance(0.4)) await one.ready();
        else if (this.#chance(0.2)) await one.fail(new BridgeError('PROVIDER_UNAVAILABLE', 'down'));
      }
      this.#lastDialled = providers.reduce((sum, one) => sum + one.dialled, 0);
    } else {
      this.#act(live);
    }
    if (this.#chance(0.15)) this.#anywhere();
    this.kit.clock.advance(Math.floor(this.#random() * 700));
    await settled();
  }

  /** Everything that is under way comes to its end. */
  async calm(): Promise<void> {
    this.#stopSpeaking(this.live);
    for (let i = 0; i < 40 && (this.live === undefined || this.runs.size > 0); i++) {
      if (this.live === undefined) {
        this.#abandon();
        for (const one of this.providers) await one.ready();
        this.#lastDialled = this.providers.reduce((sum, one) => sum + one.dialled, 0);
      }
      for (const [name, done] of this.runs) {
        this.runs.delete(name);
        done();
      }
      await settled();
      this.kit.clock.advance(200);
    }
    const { live } = this;
    if (live !== undefined && this.#open !== undefined) this.#finish(live, 'completed');
    this.kit.clock.advance(30_000);
    await settled();
    this.ear.cut();
  }

  #act(live: ManualProvider): void {
    const dice = this.#random();
    if (dice < 0.1) {
      this.#abandon();
      live.die(
        new BridgeError(CODES[Math.floor(this.#random() * CODES.length)] ?? 'PROVIDER_CLOSED', 'gone'),
      );
    } else if (this.#open !== undefined) {
      this.#actWhileSpeaking(live, dice);
    } else if (this.#speaks) {
      if (dice < 0.6) this.#stopSpeaking(live);
    } else {
      this.#actInSilence(live, dice);
    }
  }

  #actWhileSpeaking(live: ManualProvider, dice: number): void {
    if (dice < 0.7) this.#more(live);
    else if (dice < 0.8) this.#callerSpeaks(live);
    else this.#finish(live, 'completed');
  }

  #actInSilence(live: ManualProvider, dice: number): void {
    const asked = live.said.length + live.texts.filter((one) => one.options.respond).length;
    const results = live.results.filter((one) => one.result.respond).length;
    if (asked + results > (this.#served.get(live) ?? 0)) {
      this.#served.set(live, asked + results);
      this.#begin(live, true);
    } else if (dice < 0.5) {
      this.#begin(live, false);
    } else if (dice < 0.7) {
      this.#callerSpeaks(live);
    } else if (dice < 0.85) {
      this.#call(live);
    } else if (dice < 0.9) {
      live.emit({ type: 'expiring', inMs: 20_000 });
    }
  }

  /** What does not need a provider. */
  #anywhere(): void {
    const { call } = this.kit;
    const dice = this.#random();
    const [first] = this.runs;
    if (dice < 0.5 && first !== undefined) {
      this.runs.delete(first[0]);
      first[1]();
    } else if (dice < 0.7) {
      call.session.onLegEvent({ type: 'dtmf', digit: '5' });
    } else if (dice < 0.85 && call.legs.length < 3 && call.endReason === undefined) {
      this.ear.cut();
      call.cut();
      this.kit.clock.advance(300);
      if (call.endReason === undefined) this.ear.listen(call.stream());
    }
  }

  #begin(live: ManualProvider, asked: boolean): void {
    this.#count += 1;
    const id = String(this.#count);
    const spoken = { value: (this.#count % 120) + 1, first: `w${id}x000`, words: 0, ragged: false };
    this.spoken.push(spoken);
    this.#open = { responseId: `r${id}`, itemId: `i${id}`, spoken };
    live.emit({ type: 'responseStarted', responseId: `r${id}`, asked });
    this.#more(live);
  }

  #more(live: ManualProvider): void {
    if (this.#open === undefined) return;
    const { responseId, itemId, spoken } = this.#open;
    const id = itemId.slice(1);
    for (let i = 0; i < 1 + this.#random() * 20; i++) {
      const text = `w${id}x${String(spoken.words).padStart(3, '0')} `;
      live.emit({ type: 'transcript', role: 'assistant', itemId, text, final: false });
      const bytes = new Uint8Array(WORD_MS * 8).fill(spoken.value);
      live.emit({ type: 'audio', responseId, itemId, bytes });
      spoken.words += 1;
    }
  }

  #finish(live: ManualProvider, status: 'completed' | 'cancelled'): void {
    if (this.#open === undefined) return;
    const { responseId, itemId } = this.#open;
    this.#open = undefined;
    if (status === 'completed') live.emit({ type: 'audioDone', responseId, itemId });
    live.emit({ type: 'responseDone', responseId, status, reason: undefined });
  }

  /** Whatever was being said is over: its session is gone. */
  #abandon(): void {
    if (this.#open !== undefined) this.#open.spoken.ragged = true;
    this.#open = undefined;
    this.#speaks = false;
  }

  #callerSpeaks(live: ManualProvider): void {
    this.#speaks = true;
    live.emit({ type: 'speechStarted', itemId: `u${this.#count}` });
    this.#finish(live, 'cancelled');
  }

  #stopSpeaking(live: ManualProvider | undefined): void {
    if (!this.#speaks || live === undefined) return;
    this.#speaks = false;
    const itemId = `u${this.#count}`;
    live.emit({ type: 'speechStopped', itemId });
    if (this.#chance(0.7))
      live.emit({ type: 'transcript', role: 'user', itemId, text: `question ${this.#count}`, final: true });
  }

  #call(live: ManualProvider): void {
    this.#count += 1;
    const responseId = `r${this.#count}`;
    live.emit({ type: 'responseStarted', responseId, asked: false });
    for (let i = 0; i < 1 + this.#random() * 2; i++) {
      const callId = `c${this.#count}-${i}`;
      live.emit({ type: 'toolCall', responseId, callId, name: 'look_up', args: `{"id":"${callId}"}` });
    }
    live.emit({ type: 'responseDone', responseId, status: 'completed', reason: undefined });
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }
}

/** Begins a call. */
async function begin(seed: number) {
  const started: string[] = [];
  const runs = new Map<string, () => void>();
  const tool = defineTool({
    name: 'look_up',
    description: 'Looks up.',
    parameters: { type: 'object', properties: { id: { type: 'string' } } },
    run: (args) =>
      new Promise((done) => {
        const id = String(args['id']);
        started.push(id);
        runs.set(id, () => done(id));
      }),
  });
  const failover = { ...FAILOVER, answerMs: 0, gapFiller: undefined };
  const kit = await up({ tools: [tool], greeting: undefined, failover }, {}, { capabilities: REOPENING });
  return { kit, chaos: new Chaos(kit, seeded(seed), runs), started };
}

/** Nothing of the call is left, a while after its end. */
async function expectNothingLeft({ clock, pacer, close, a, b, c }: Failover): Promise<void> {
  // Whoever was overtaken or comes late has its time.
  clock.advance(20_000);
  await settled();
  expect(pacer.size).toBe(0);
  for (const one of [a, b, c]) expect(one.open).toBe(0);
  await close();
  clock.advance(1_000_000);
  await settled();
  expect(clock.pending).toBe(0);
}

/** An item of the agent by its first word. */
function spokenIn(chaos: Chaos, text: string): Spoken | undefined {
  return chaos.spoken.find(({ first }) => text.startsWith(first));
}

function wordsIn(text: string | undefined): number {
  return (text ?? '').split(' ').filter((word) => word !== '').length;
}

/** What was heard is what the transcript says, within a word. */
function expectHeard(chaos: Chaos, turns: readonly TranscriptEntry[]): void {
  for (const { role, text, heardText } of turns) {
    const spoken = role === 'assistant' ? spokenIn(chaos, text) : undefined;
    if (spoken === undefined) continue;
    const heard = chaos.ear.wordsOf(spoken.value);
    expect(wordsIn(heardText), `${text} / ${heardText}`).toBeLessThanOrEqual(heard + 1.2);
    if (!spoken.ragged) expect(wordsIn(heardText), text).toBeGreaterThanOrEqual(heard - 1.2);
  }
}

/** What this one was told that the caller has heard is what they heard, or was put right. */
function expectTold(last: ManualProvider, turns: readonly TranscriptEntry[]): void {
  const corrections = last.texts.map(({ text }) => text);
  for (const line of texts(last.request?.history)) {
    const told = /^assistant: (w\d+x000.*)$/.exec(line)?.[1];
    if (told === undefined) continue;
    const entry = turns.find(({ role, text }) => role === 'assistant' && text.startsWith(told.slice(0, 6)));
    if (entry?.heardText?.trim() === told.trim()) continue;
    expect(corrections).toContainEqual(expect.stringContaining(JSON.stringify(entry?.heardText)));
  }
}

describe('a call in which everything goes wrong', () => {
  const seeds = Array.from({ length: 60 }, (_, i) => i + 1);

  it.each(seeds)('is held to its end, and tells and runs nothing twice (%i)', async (seed) => {
    const { kit, chaos, started } = await begin(seed);
    const { call, logged, all, a, b, c } = kit;
    for (let i = 0; i < 60 && call.endReason === undefined; i++) await chaos.step();
    await chaos.calm();
    expect(logged('call failed')).toBe(0);
    expect([undefined, 'provider-failed']).toContain(call.endReason);
    expect(new Set(started).size).toBe(started.length);
    const told = [a, b, c].flatMap((one) => one.results.map(({ callId }) => callId.replace(/~\d+$/, '')));
    expect(new Set(told).size).toBe(told.length);
    const last = chaos.live;
    if (last !== undefined) expect(told.length).toBe(started.length);
    await call.session.end('caller-hung-up');
    const turns = all('ended').at(-1)?.transcript ?? [];
    expectHeard(chaos, turns);
    if (last !== undefined) expectTold(last, turns);
    await expectNothingLeft(kit);
  });

  it.each(seeds)('leaves nothing behind when it is over in the middle of that (%i)', async (seed) => {
    const { kit, chaos } = await begin(seed + 1000);
    const steps = 1 + (seed % 30);
    for (let i = 0; i < steps; i++) await chaos.step();
    const ended = kit.call.session.end('caller-hung-up');
    // Those who are being dialled are ready a moment too late.
    for (const one of [kit.a, kit.b, kit.c]) await one.ready();
    await kit.pass(2000);
    await ended;
    expect(kit.logged('call failed')).toBe(0);
    await expectNothingLeft(kit);
  });

  it.each(seeds)('has a goodbye said to its end, each word once, by whoever is there (%i)', async (seed) => {
    const random = seeded(seed);
    const goodbye = Array.from({ length: 20 }, (_, i) => `word${i + 10}`);
    const failover = { ...FAILOVER, answerMs: 0, gapFiller: undefined };
    const kit = await up({ greeting: undefined, failover });
    const { a, b, c, call, clock } = kit;
    const ear = new Ear(() => clock.now());
    ear.listen(call.leg);
    call.session.leave('budget-spent', goodbye.join(' '));
    const order = [a, b, c];
    for (let turn = 0; call.endReason === undefined; turn++) {
      expect(turn).toBeLessThan(20);
      const live = order[turn % 3] ?? a;
      const asked = live.said.at(-1)?.split(' ') ?? [];
      const isLast = turn === 3 || random() < 0.3;
      sayWords(live, turn, asked.slice(0, isLast ? undefined : random() * asked.length), goodbye, isLast);
      clock.advance(isLast ? 10_000 : random() * 1500);
      if (isLast) continue;
      live.die();
      await settled();
      clock.advance(random() * 1500);
      await order[(turn + 1) % 3]?.ready();
    }
    ear.cut();
    expect(call.endReason).toBe('budget-spent');
    const heard = goodbye.map((_, i) => Math.round(ear.wordsOf(i + 1)));
    // Every word once.
    expect(heard).toEqual(goodbye.map(() => 1));
    await expectNothingLeft(kit);
  });
});

/** A provider says these words of the goodbye, each with a sound of its own. */
function sayWords(
  live: ManualProvider,
  turn: number,
  words: readonly string[],
  goodbye: readonly string[],
  whole: boolean,
): void {
  const [responseId, itemId] = [`r${turn}`, `i${turn}`];
  live.emit({ type: 'responseStarted', responseId, asked: true });
  for (const word of words) {
    const bytes = new Uint8Array(WORD_MS * 8).fill(goodbye.indexOf(word) + 1);
    live.emit({ type: 'transcript', role: 'assistant', itemId, text: `${word} `, final: false });
    live.emit({ type: 'audio', responseId, itemId, bytes });
  }
  if (!whole) return;
  live.emit({ type: 'audioDone', responseId, itemId });
  live.emit({ type: 'responseDone', responseId, status: 'completed', reason: undefined });
}
