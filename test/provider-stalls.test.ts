import { describe, expect, it } from 'vitest';
import { bytesPerMs, silenceByte } from '../src/audio/format.ts';
import { AnswerWatch } from '../src/fallback/answer-watch.ts';
import type { ProviderEvent, ProviderSession } from '../src/provider.ts';
import { networkTurn } from './support/peers.ts';
import { requestOf } from './support/provider-line.ts';
import { kept } from './support/provider-request.ts';
import type { Fault, Peer, Stage, Subject } from './support/provider-subjects.ts';
import { SUBJECTS } from './support/subjects.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** What a caller would wait for in vain: connections that stand and bring nothing, in the time of the bridge alone. */

const FRAME_MS = 20;
/** A beat of the virtual clock, after which the network has its turn. */
const BEAT_MS = 100;
const TURNS_PER_BEAT = 6;
const LIMIT_MS = 8_000;

class Call implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly events: ProviderEvent[] = [];
  readonly still: number[] = [];
  readonly watch: AnswerWatch;
  readonly #stage: Stage;
  #session: ProviderSession | undefined;
  #peer: Peer | undefined;

  private constructor(stage: Stage) {
    this.#stage = stage;
    this.watch = new AnswerWatch({
      clock: this.clock,
      limitMs: LIMIT_MS,
      agentSpeaks: () => false,
      onStill: (forMs) => this.still.push(forMs),
    });
  }

  /** The fault comes when the caller's first audio has. */
  static async begin(subject: Subject, fault: Fault['do'] | undefined): Promise<Call> {
    const faults = fault === undefined ? [] : [{ when: { after: 'appendMs', value: 100 }, do: fault }];
    const call = new Call(await subject.start({ faults, connectTimeoutMs: 600_000 }));
    const { provider } = call.#stage;
    const sink = (event: ProviderEvent): void => {
      call.watch.sign(event);
      call.events.push(kept(event));
    };
    call.#session = await provider.connect(
      requestOf({ clock: call.clock }),
      sink,
      new AbortController().signal,
    );
    call.#peer = await call.#stage.nextPeer();
    call.watch.begin(provider.capabilities);
    while (call.peer.receivedAudioMs < 100) {
      call.sendQuiet(BEAT_MS);
      await networkTurn();
    }
    return call;
  }

  get session(): ProviderSession {
    if (this.#session === undefined) throw new Error('there is no session');
    return this.#session;
  }

  get peer(): Peer {
    if (this.#peer === undefined) throw new Error('there is no peer');
    return this.#peer;
  }

  get closed(): readonly ProviderEvent[] {
    return this.events.filter(({ type }) => type === 'closed');
  }

  /** The line is quiet, and sends that. */
  sendQuiet(ms: number): void {
    const { input } = this.session;
    const frame = new Uint8Array(FRAME_MS * bytesPerMs(input)).fill(silenceByte(input));
    for (let sent = 0; sent < ms; sent += FRAME_MS) this.session.sendAudio(frame);
  }

  /** So much time passes, or less if something comes of it. Returns how much. */
  async pass(ms: number, until: () => boolean = () => false): Promise<number> {
    for (let passed = 0; passed < ms; passed += BEAT_MS) {
      if (until()) return passed;
      this.sendQuiet(BEAT_MS);
      this.clock.advance(BEAT_MS);
      for (let i = 0; i < TURNS_PER_BEAT; i += 1) await networkTurn();
    }
    return ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.session.close('the test is over');
    // A service that says nothing does not say goodbye either.
    while (this.closed.length === 0) {
      this.clock.advance(BEAT_MS);
      await networkTurn();
    }
    await closing;
    expect(this.clock.pending).toBe(0);
    await this.#stage[Symbol.asyncDispose]();
  }
}

describe.each(SUBJECTS)('$name', (subject) => {
  it('is missed within about ten seconds when its connection is half open', async () => {
    await using call = await Call.begin(subject, 'stall');
    const ms = await call.pass(30_000, () => call.closed.length > 0);
    // An HTTP/2 stream takes 64 KiB before it takes no more since Node 22, which is four seconds of Nova's messages.
    const heldMs = subject.name.startsWith('Nova') ? 3000 : 0;
    expect(ms).toBeLessThanOrEqual(11_000 + heldMs);
    expect(call.closed[0]).toMatchObject({ expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } });
  });

  it('is not missed while it has nothing to say', async () => {
    await using call = await Call.begin(subject, undefined);
    await call.pass(40_000);
    expect(call.closed).toEqual([]);
    expect(call.still).toEqual([]);
    expect(call.peer.isOpen).toBe(true);
  });

  it('is known to be of no use when it takes everything and says nothing', async () => {
    await using call = await Call.begin(subject, 'mute');
    await call.pass(4_000);
    call.session.say('Are you there?');
    call.watch.asked();
    const ms = await call.pass(30_000, () => call.still.length > 0);
    expect(call.still).toEqual([LIMIT_MS]);
    expect(ms).toBe(LIMIT_MS);
    // Its connection is as good as ever.
    expect(call.closed).toEqual([]);
  });
});
