import { describe, expect, it } from 'vitest';
import { type AudioFormat, MULAW_8K } from '../src/audio/format.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { ZERO_DBM0_RMS } from '../src/audio/tone.ts';
import { TurnLevel } from '../src/audio/turn-level.ts';
import { AnswerWatch } from '../src/fallback/answer-watch.ts';
import type { ProviderEvent, ResponseStatus } from '../src/provider.ts';
import { HeldUpClock } from './support/held-up-clock.ts';
import { NOISES, noiseSamples } from './support/noise.ts';
import { SENTENCES, sentence } from './support/onsets.ts';
import { rms, seeded, toBytes, toInt16 } from './support/signal.ts';
import type { VirtualClock } from './support/virtual-clock.ts';

const LIMIT = 10_000;

/** A watch over a session of which the test tells every event. */
function watched({ limitMs = LIMIT, speech = 'turns' as 'turns' | 'continuous', begun = true } = {}) {
  const clock = new HeldUpClock();
  const told: { readonly atMs: number; readonly forMs: number }[] = [];
  const state = { agentSpeaks: false };
  const watch = new AnswerWatch({
    clock,
    limitMs,
    agentSpeaks: () => state.agentSpeaks,
    onStill: (forMs) => told.push({ atMs: clock.now(), forMs }),
  });
  watch.setFormat(MULAW_8K);
  if (begun) watch.begin({ speech });
  return {
    clock,
    watch,
    told,
    state,
    /** Whether a provider that keeps still from now on is ever given up. */
    isPatient: () => {
      clock.advance(20 * LIMIT);
      return told.length === 0;
    },
    /** One message of 20 ms after the other, in time. */
    hear: (samples: Int16Array) => {
      const bytes = encodeG711('mulaw', samples);
      for (let at = 0; at < bytes.length; at += 160) {
        watch.hear(bytes.subarray(at, at + 160));
        clock.advance(20);
      }
    },
  };
}

const started = (responseId = 'r', asked = false): ProviderEvent => ({
  type: 'responseStarted',
  responseId,
  asked,
});
const done = (status: ResponseStatus = 'completed', responseId = 'r'): ProviderEvent => ({
  type: 'responseDone',
  responseId,
  status,
  reason: undefined,
});
const audio = (responseId = 'r'): ProviderEvent => ({
  type: 'audio',
  responseId,
  itemId: 'i',
  bytes: new Uint8Array(160),
});
const audioDone: ProviderEvent = { type: 'audioDone', responseId: 'r', itemId: 'i' };
const speaks: ProviderEvent = { type: 'speechStarted', itemId: 'u' };
const stops: ProviderEvent = { type: 'speechStopped', itemId: 'u' };
const words = (role: 'user' | 'assistant', final = false): ProviderEvent => ({
  type: 'transcript',
  role,
  itemId: 'i',
  text: 'Well',
  final,
});

const LINE_DBM0 = -62;

function atLevel(samples: Int16Array, dbm0: number): Float64Array {
  const factor = (ZERO_DBM0_RMS * 10 ** (dbm0 / 20)) / rms(Float64Array.from(samples));
  return Float64Array.from(samples, (value) => value * factor);
}

/** Speech or whatever else, with the line's own noise beneath it and for so long around it. */
function onLine(samples: ArrayLike<number>, afterMs: number, beforeMs = 400): Int16Array {
  const random = seeded(9);
  const noise = ZERO_DBM0_RMS * 10 ** (LINE_DBM0 / 20) * Math.sqrt(3);
  return toInt16(
    Float64Array.from(
      { length: samples.length + 8 * (beforeMs + afterMs) },
      (_, i) => (samples[i - 8 * beforeMs] ?? 0) + (2 * random() - 1) * noise,
    ),
  );
}

/** About a second of a sentence. */
function phrase(dbm0 = -20): Float64Array {
  return atLevel(sentence('0880'), dbm0).subarray(200 * 8, 1_400 * 8);
}

describe('a provider that keeps still when it is its turn', () => {
  it.each([
    ['was asked to speak', (w: AnswerWatch) => w.asked()],
    [
      'heard the caller to the end',
      (w: AnswerWatch) => {
        w.sign(speaks);
        w.sign(stops);
      },
    ],
    ['began an answer of which nothing comes', (w: AnswerWatch) => w.sign(started())],
    [
      'failed at an answer of which nothing came',
      (w: AnswerWatch) => {
        w.sign(started());
        w.sign(done('failed'));
      },
    ],
    [
      'broke off in the middle of what it said',
      (w: AnswerWatch) => {
        w.sign(started());
        w.sign(audio());
      },
    ],
    [
      'has begun to answer the caller without a word that they have finished',
      (w: AnswerWatch) => {
        w.sign(speaks);
        w.sign(started());
      },
    ],
    ['speaks of a response that it never announced', (w: AnswerWatch) => w.sign(audio('other'))],
    [
      'was asked while it said something else, and said that to its end',
      (w: AnswerWatch) => {
        w.sign(started());
        w.sign(audio());
        w.asked();
        w.sign(audioDone);
        w.sign(done());
      },
    ],
  ])('is given up after the limit when it %s', (_, act) => {
    const { clock, watch, told } = watched();
    act(watch);
    clock.advance(LIMIT - 1);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toEqual([{ atMs: LIMIT, forMs: LIMIT }]);
    expect(clock.pending).toBe(0);
  });

  it('is given up once, and anew only after another session has begun', () => {
    const { clock, watch, told } = watched();
    watch.asked();
    clock.advance(LIMIT);
    watch.asked();
    watch.sign(speaks);
    watch.sign(stops);
    clock.advance(5 * LIMIT);
    expect(told).toHaveLength(1);
    watch.begin({ speech: 'turns' });
    watch.asked();
    clock.advance(LIMIT);
    expect(told).toHaveLength(2);
  });

  it('gets its time anew for each step forward', () => {
    const { clock, watch, told } = watched();
    watch.sign(speaks);
    watch.sign(stops);
    for (const event of [started(), audio(), audio(), started('r2'), audio('r2')]) {
      clock.advance(LIMIT - 1);
      watch.sign(event);
    }
    expect(told).toEqual([]);
    clock.advance(LIMIT);
    expect(told).toHaveLength(1);
  });

  it('gets no more than twice the time for text alone', () => {
    const { clock, watch, told } = watched();
    watch.sign(started());
    for (let ms = 0; ms < 3 * LIMIT && told.length === 0; ms += 500) {
      clock.advance(500);
      watch.sign(words('assistant'));
    }
    expect(told).toEqual([{ atMs: 2 * LIMIT, forMs: 2 * LIMIT }]);
  });

  it('is not given up as long as the caller hears what it has said already', () => {
    const { clock, watch, told, state } = watched();
    state.agentSpeaks = true;
    watch.sign(started());
    watch.sign(audio());
    clock.advance(60_000);
    expect(told).toEqual([]);
    state.agentSpeaks = false;
    clock.advance(LIMIT - 500);
    expect(told).toEqual([]);
    clock.advance(500);
    expect(told).toHaveLength(1);
  });

  it('has twice as long to say that its answer is over as to give it', () => {
    const { clock, watch, told } = watched();
    watch.sign(started());
    watch.sign(audio());
    watch.sign(audioDone);
    clock.advance(2 * LIMIT - 1);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toHaveLength(1);
  });

  it('has its time from when functions have run, the caller has come back or is no machine', () => {
    const { clock, watch, told } = watched();
    watch.sign(started());
    watch.waiting(true);
    clock.advance(5 * LIMIT);
    watch.waiting(false);
    clock.advance(LIMIT - 1);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toHaveLength(1);
  });

  it('is never given up without a limit', () => {
    const { watch, isPatient, hear } = watched({ limitMs: 0 });
    watch.asked();
    hear(onLine(phrase(), 3000));
    expect(isPatient()).toBe(true);
  });
});

describe('a provider that has nothing to say', () => {
  it.each([
    ['nobody has said anything', () => undefined],
    [
      'its answer was silence',
      (w: AnswerWatch) => {
        w.sign(speaks);
        w.sign(stops);
        w.sign(started());
        w.sign(done());
      },
    ],
    [
      'the caller cut in and says more',
      (w: AnswerWatch) => {
        w.sign(started());
        w.sign(audio());
        w.sign(speaks);
        w.sign(audio());
      },
    ],
    [
      'its answer was cancelled',
      (w: AnswerWatch) => {
        w.sign(started());
        w.sign(done('cancelled'));
      },
    ],
    [
      'it has cut its answer off itself',
      (w: AnswerWatch) => {
        w.sign(started());
        w.sign(audio());
        w.sign({ type: 'interrupted', responseId: 'r' });
      },
    ],
    [
      'it failed after its answer was heard',
      (w: AnswerWatch) => {
        w.sign(started());
        w.sign(audio());
        w.sign(done('failed'));
      },
    ],
    [
      'it was asked while the caller spoke, who goes on',
      (w: AnswerWatch) => {
        w.sign(speaks);
        w.asked();
      },
    ],
    [
      'the caller spoke over what was asked for',
      (w: AnswerWatch) => {
        w.asked();
        w.sign(speaks);
      },
    ],
    [
      'functions run',
      (w: AnswerWatch) => {
        w.sign(started());
        w.sign({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'n', args: '{}' });
        w.waiting(true);
      },
    ],
    [
      'it has closed the session',
      (w: AnswerWatch) => {
        w.asked();
        w.sign({ type: 'closed', expected: true, error: undefined });
      },
    ],
    [
      'its session is not in use any more',
      (w: AnswerWatch) => {
        w.asked();
        w.end();
      },
    ],
    [
      'another session is in use',
      (w: AnswerWatch) => {
        w.asked();
        w.begin({ speech: 'turns' });
      },
    ],
  ])('is left alone when %s', (_, act) => {
    const { watch, clock, isPatient } = watched();
    act(watch);
    expect(isPatient()).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('owes nothing of what the caller has cut off, though more of it came and its end was never told', () => {
    const { watch, isPatient } = watched();
    watch.sign(started());
    watch.sign(audio());
    watch.sign(speaks);
    watch.sign(audio());
    watch.sign(stops);
    watch.sign(started('r2'));
    watch.sign(audio('r2'));
    watch.sign(done('completed', 'r2'));
    expect(isPatient()).toBe(true);
  });

  it('owes nothing of what our own ear has heard the caller cut off', () => {
    const { clock, watch, isPatient } = watched();
    watch.sign(started());
    watch.sign(audio());
    watch.callerSpeaks();
    clock.advance(2_000);
    watch.callerStopped();
    watch.sign(started('r2'));
    watch.sign(audio('r2'));
    watch.sign(done('completed', 'r2'));
    expect(isPatient()).toBe(true);
  });

  it('may think for eight seconds about whether the caller has finished', () => {
    const { clock, watch, told } = watched();
    watch.sign(speaks);
    clock.advance(4_000 + 8_000);
    watch.sign(stops);
    clock.advance(LIMIT - 1);
    watch.sign(started());
    watch.sign(audio());
    watch.sign(audioDone);
    watch.sign(done());
    clock.advance(5 * LIMIT);
    expect(told).toEqual([]);
  });

  it('hears nothing of what happens before a session is in use', () => {
    const { watch, isPatient, hear } = watched({ begun: false });
    watch.asked();
    watch.sign(started());
    hear(onLine(phrase(), 3000));
    expect(isPatient()).toBe(true);
  });
});

describe('what only our own ear has heard', () => {
  function heardByEar(clock: VirtualClock, watch: AnswerWatch, ms: number): void {
    watch.callerSpeaks();
    clock.advance(ms);
    watch.callerStopped();
  }

  it('makes an answer due too, half as late again', () => {
    const { clock, watch, told } = watched();
    heardByEar(clock, watch, 2_000);
    clock.advance(1.5 * LIMIT - 1);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toEqual([{ atMs: 2_000 + 1.5 * LIMIT, forMs: 1.5 * LIMIT }]);
  });

  it('is not in doubt any more when the provider has written it down', () => {
    const { clock, watch, told } = watched();
    heardByEar(clock, watch, 2_000);
    watch.sign(words('user', true));
    clock.advance(LIMIT);
    expect(told).toHaveLength(1);
  });

  it('is not counted when it may have been a cough', () => {
    const { clock, watch, isPatient } = watched();
    heardByEar(clock, watch, 800);
    expect(isPatient()).toBe(true);
  });

  it('leaves what was due as it was when it may have been a cough', () => {
    for (const askedFirst of [true, false]) {
      const { clock, watch, told } = watched();
      if (askedFirst) watch.asked();
      watch.callerSpeaks();
      if (!askedFirst) watch.asked();
      clock.advance(800);
      watch.callerStopped();
      clock.advance(LIMIT - 1);
      expect(told).toEqual([]);
      clock.advance(1);
      expect(told).toHaveLength(1);
    }
  });

  it('binds nobody who speaks in real time, and may choose to say nothing', () => {
    const { clock, watch, told } = watched({ speech: 'continuous' });
    heardByEar(clock, watch, 2_000);
    clock.advance(5 * LIMIT);
    expect(told).toEqual([]);
    watch.asked();
    heardByEar(clock, watch, 2_000);
    clock.advance(LIMIT);
    expect(told).toHaveLength(1);
  });

  it('does not end what the provider takes for speech', () => {
    const { clock, watch, isPatient } = watched();
    watch.callerSpeaks();
    watch.sign(speaks);
    clock.advance(2_000);
    watch.callerStopped();
    expect(isPatient()).toBe(true);
  });
});

describe('a provider that says nothing at all while the caller speaks to it', () => {
  it('is given up when the caller has said something twice', () => {
    const { told, hear } = watched();
    hear(onLine(phrase(), 4_000));
    hear(onLine(phrase(), 4_000));
    expect(told).toEqual([]);
    hear(onLine([], 6_000));
    expect(told).toHaveLength(1);
    expect(told[0]?.atMs).toBeGreaterThan(1.5 * LIMIT);
    expect(told[0]?.atMs).toBeLessThan(1.5 * LIMIT + 2_000);
  });

  it('is given up after twice the limit when the caller has said something once and waits', () => {
    const { told, hear } = watched();
    hear(onLine(phrase(), 2 * LIMIT - 1_000));
    expect(told).toEqual([]);
    hear(onLine([], 2_000));
    expect(told).toHaveLength(1);
  });

  it('is given up sooner when it has heard the caller begin and then nothing more', () => {
    const { told, hear, watch } = watched();
    watch.sign(speaks);
    hear(onLine(phrase(), 1.5 * LIMIT + 1_000));
    expect(told).toHaveLength(1);
  });

  it('is given up although the carrier has stopped to send, as it may in silence', () => {
    const { told, hear, clock } = watched();
    hear(onLine(phrase(), 0));
    clock.advance(2 * LIMIT);
    expect(told).toHaveLength(1);
  });

  it('is not given up while the caller goes on', () => {
    const { told, hear } = watched();
    for (let i = 0; i < 12; i += 1) hear(onLine(phrase(), 900, 0));
    expect(told).toEqual([]);
  });

  it('is left alone when it says anything', () => {
    for (const event of [words('user'), { type: 'warning', code: 'c', message: 'm' } as const]) {
      const { told, hear, watch } = watched();
      hear(onLine(phrase(), 3_000));
      watch.sign(event);
      hear(onLine([], 3 * LIMIT));
      expect(told).toEqual([]);
    }
  });

  it('is left alone while functions run, and when what is heard is its own echo', () => {
    const { told, hear, watch, state } = watched();
    watch.waiting(true);
    hear(onLine(phrase(), 4_000));
    watch.waiting(false);
    state.agentSpeaks = true;
    hear(onLine(phrase(), 4_000));
    state.agentSpeaks = false;
    hear(onLine([], 3 * LIMIT));
    expect(told).toEqual([]);
  });

  it('gets more time each time that it proves to have been there all along', () => {
    const { told, hear, watch } = watched();
    hear(onLine(phrase(), 8_000));
    watch.sign(words('user'));
    hear(onLine(phrase(), 2 * LIMIT + 1_000));
    expect(told).toEqual([]);
    hear(onLine([], 2 * LIMIT));
    expect(told).toHaveLength(1);
  });

  it('is not given up for what is far away, such as a television', () => {
    const { told, hear } = watched();
    for (let i = 0; i < 3; i += 1) hear(onLine(phrase(-46), 4_000));
    hear(onLine([], 3 * LIMIT));
    expect(told).toEqual([]);
  });

  it('is not given up for sound without a pause, such as music on hold', () => {
    const { told, hear, state } = watched();
    expect(state.agentSpeaks).toBe(false);
    const whole = atLevel(sentence('0870'), -18);
    // Dips, but no pauses.
    const floor = atLevel(sentence('0890'), -24);
    const music = Float64Array.from(
      { length: 60_000 * 8 },
      (_, i) => (whole[i % whole.length] ?? 0) + (floor[i % floor.length] ?? 0),
    );
    hear(onLine(music, 3 * LIMIT));
    expect(told).toEqual([]);
  });

  it.each(NOISES)('is not given up for %s', (name) => {
    const { told, hear } = watched();
    const samples = noiseSamples(name);
    for (let i = 0; i < 4; i += 1) hear(samples);
    hear(onLine([], 3 * LIMIT));
    expect(told).toEqual([]);
  });
});

describe('turns by level', () => {
  const formats: readonly AudioFormat[] = [
    { encoding: 'mulaw', rate: 8000 },
    { encoding: 'alaw', rate: 8000 },
    { encoding: 'pcm16', rate: 8000 },
    { encoding: 'pcm16', rate: 16_000 },
    { encoding: 'pcm16', rate: 24_000 },
  ];

  function bytesOf(samples: Int16Array, { encoding, rate }: AudioFormat): Uint8Array {
    if (encoding !== 'pcm16') return encodeG711(encoding, samples);
    return toBytes(rate === 8000 ? samples : resampleWhole(samples, 8000, rate));
  }

  it.each(formats)('are counted in $encoding at $rate, however the audio is cut', (format) => {
    const turn = onLine(phrase(), 1_000);
    const bytes = bytesOf(Int16Array.from([...turn, ...turn]), format);
    for (const size of [160, 334, 1_000, bytes.length]) {
      const level = new TurnLevel(format);
      let voice = false;
      for (let at = 0; at < bytes.length; at += size) {
        if (level.push(bytes.subarray(at, at + size))) voice = true;
      }
      expect({ turns: level.turns, voice }).toEqual({ turns: 2, voice: true });
    }
  });

  it.each(SENTENCES)('are counted of speech at every usual level: %s', (name) => {
    for (const dbm0 of [-10, -16, -22, -28]) {
      const level = new TurnLevel(MULAW_8K);
      level.push(encodeG711('mulaw', onLine(atLevel(sentence(name), dbm0), 1_000)));
      expect(level.turns).toBe(1);
    }
  });

  it('are not counted of a word, and not of nothing at all', () => {
    const level = new TurnLevel(MULAW_8K);
    level.push(encodeG711('mulaw', onLine(phrase().subarray(0, 400 * 8), 1_000)));
    level.push(new Uint8Array(8_000).fill(0xff));
    level.push(new Uint8Array(0));
    expect(level.turns).toBe(0);
  });

  it.each(formats)('are not counted of what is bright as no vowel is, in $encoding at $rate', (format) => {
    const random = seeded(3);
    let [white, red] = [0, 0];
    // Leaves, paper, a shower: its brightness changes, too.
    const rustle = Float64Array.from({ length: 3_000 * 8 }, (_, i) => {
      const next = 4_000 * (2 * random() - 1);
      const edge = next - white;
      white = next;
      red = 0.77 * red + next;
      return i % 1_600 < 800 ? edge : red;
    });
    const level = new TurnLevel(format);
    level.push(bytesOf(onLine(rustle, 1_000), format));
    expect(level.turns).toBe(0);
  });

  it('are counted anew when they are forgotten', () => {
    const level = new TurnLevel(MULAW_8K);
    const turn = encodeG711('mulaw', onLine(phrase(), 1_000));
    level.push(turn);
    level.forget();
    expect(level.turns).toBe(0);
    level.push(turn);
    expect(level.turns).toBe(1);
  });
});

describe('a process that was held up', () => {
  it('does not give up a provider whose answer it has not read yet', () => {
    const { clock, watch, told } = watched();
    watch.asked();
    clock.advance(4_000);
    clock.holdUp(10_000);
    // The timer runs before the network has its turn.
    clock.advance(LIMIT - 4_000);
    expect(told).toEqual([]);
    watch.sign(audio());
    clock.advance(LIMIT - 1);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toHaveLength(1);
  });

  it('gives up one that keeps still all the same, half of its time later at most', () => {
    const { clock, watch, told } = watched();
    watch.asked();
    clock.holdUp(60_000);
    clock.advance(LIMIT + LIMIT / 2 - 1);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toEqual([{ atMs: 60_000 + LIMIT * 1.5, forMs: 60_000 + LIMIT * 1.5 }]);
  });

  it('takes no notice of timers that are a little late, as all are', () => {
    const { clock, watch, told } = watched();
    watch.asked();
    clock.holdUp(400);
    clock.advance(LIMIT);
    expect(told).toHaveLength(1);
  });

  it('has the turns that only the level speaks for wait for the same', () => {
    const { clock, watch, told, hear } = watched();
    hear(onLine(phrase(), 1_000));
    clock.holdUp(60_000);
    clock.advance(2 * LIMIT);
    expect(told).toEqual([]);
    watch.sign(audio());
    clock.advance(LIMIT / 2);
    expect(told).toEqual([]);
  });
});
