import { createTranscoder } from '../../audio/transcode.ts';
import { samplesToBytes } from '../../audio/wav.ts';
import { createSpeechEngine, type SpeechEngine } from '../../providers/local/engine.ts';
import { numberWords } from '../../providers/local/sentences.ts';
import { READ_RATE, type Word } from './words.ts';

/** What agents say: they count to twenty. */
export const NUMBERS: readonly string[] = Array.from({ length: 20 }, (_, i) => numberWords(i + 1));
/** What callers say: they spell. */
export const LETTERS = [
  'alpha',
  'bravo',
  'charlie',
  'delta',
  'echo',
  'foxtrot',
  'golf',
  'hotel',
  'india',
  'juliet',
  'kilo',
  'lima',
  'mike',
  'november',
  'oscar',
  'papa',
  'quebec',
  'romeo',
  'sierra',
  'tango',
  'uniform',
  'victor',
  'whiskey',
  'yankee',
  'zulu',
] as const;
export const HELLO = 'hello';

/** Voices, so that whoever listens hears who speaks: the caller, then the providers in their order. */
export const CALLER_VOICE = 'rms';
export const AGENT_VOICES: readonly string[] = ['slt', 'awb', 'kal16'];

/** The rate of the speech engine, and of what agents say. */
const ENGINE_RATE = 16_000;
export const AGENT_RATE = 24_000;
/** What is weaker at either end of a word is no part of it. */
const SILENT = 300;
/** Loudness of the loudest sample: about -6 dBFS. */
const PEAK = 14_000;
/**
 * A number takes as long as its letters do, and so does the space behind it: a sentence that is cut in proportion to its
 * sound is then cut at the word that was heard last.
 */
const LETTER_MS = 120;
const CALLER_PAUSE_MS = 90;
/**
 * Under everything that agents say there is a tone that nobody hears (-55 dBFS): where it is missing, the caller hears
 * nothing of the agent, and where it is, what seems to be silence is a pause of the sentence. No two pieces of it are
 * the same, as no two pieces of speech are.
 */
const UNDERTONE_HZ = 263.7;
const UNDERTONE = 58;

/** 20 ms at 8 kHz. */
const FRAME = 160;

/** Sound for words: what callers and agents can say. */
export interface Lexicon {
  /** Everything that agents can say, in all of their voices. */
  readonly agents: readonly Word[];
  readonly caller: readonly Word[];
  /** PCM16 at `AGENT_RATE`. */
  sentence(texts: readonly string[], voice: string): Int16Array;
  /** PCM16 at 8 kHz, with the pauses between the words; `pauseMs` after each. */
  speech(texts: readonly string[], pauseMs?: number): Int16Array;
}

function trimmed(samples: Int16Array): Int16Array {
  let from = 0;
  let to = samples.length;
  while (from < to && Math.abs(samples[from] ?? 0) < SILENT) from++;
  while (to > from && Math.abs(samples[to - 1] ?? 0) < SILENT) to--;
  return samples.subarray(from, to);
}

function levelled(samples: Int16Array): Int16Array {
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1);
  return samples.map((sample) => Math.round((sample * PEAK) / peak));
}

function resampled(samples: Int16Array, rate: 8000 | 24_000): Int16Array {
  const transcoder = createTranscoder({ encoding: 'pcm16', rate: ENGINE_RATE }, { encoding: 'pcm16', rate });
  const head = transcoder.push(samplesToBytes(samples, 'pcm16')).slice();
  const bytes = Buffer.concat([head, transcoder.flush()]);
  return Int16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i));
}

async function render(engine: SpeechEngine, text: string, voice: string): Promise<Int16Array> {
  return levelled(trimmed((await engine.render(`${text}.`, voice)).slice()));
}

/** Has every word spoken once. Rejects with INTERNAL when the speech program does not work. */
export async function makeLexicon(): Promise<Lexicon> {
  const engine = createSpeechEngine();
  try {
    const sounds = new Map<string, Int16Array>();
    const words = async (texts: readonly string[], voice: string): Promise<Word[]> => {
      const made: Word[] = [];
      for (const text of texts) {
        const sound = await render(engine, text, voice);
        sounds.set(`${voice} ${text}`, sound);
        made.push({ text, voice, samples: resampled(sound, READ_RATE) });
      }
      return made;
    };
    const caller = await words(LETTERS, CALLER_VOICE);
    const agents: Word[] = [];
    for (const voice of AGENT_VOICES) agents.push(...(await words([HELLO, ...NUMBERS], voice)));
    return {
      agents,
      caller,
      sentence: (texts, voice) => sentence(texts.map((text) => [text, soundOf(sounds, voice, text)])),
      speech: (texts, pauseMs = CALLER_PAUSE_MS) => speech(texts, caller, pauseMs),
    };
  } finally {
    await engine.close();
  }
}

function soundOf(sounds: ReadonlyMap<string, Int16Array>, voice: string, text: string): Int16Array {
  return sounds.get(`${voice} ${text}`) ?? new Int16Array(0);
}

function sentence(words: readonly (readonly [string, Int16Array])[]): Int16Array {
  const pieces = words.map(([text, sound]) => {
    const samples = resampled(sound, AGENT_RATE);
    const slot = Math.max(samples.length, ((text.length + 1) * LETTER_MS * AGENT_RATE) / 1000);
    const piece = new Int16Array(slot);
    piece.set(samples);
    return piece;
  });
  return joined(pieces).map((sample, i) =>
    Math.max(-32_768, Math.min(32_767, sample + Math.round(undertone(i)))),
  );
}

function undertone(i: number): number {
  return UNDERTONE * Math.sin((2 * Math.PI * UNDERTONE_HZ * i) / AGENT_RATE);
}

/** For each 20 ms of what was heard (PCM16 at 8 kHz): 1 when something of an agent was there, be it a pause in its sentence. */
export function agentPresent(heard: Int16Array): Uint8Array {
  const present = new Uint8Array(Math.floor(heard.length / FRAME));
  for (let frame = 0; frame < present.length; frame++) {
    let strongest = 0;
    for (let i = frame * FRAME; i < (frame + 1) * FRAME; i++) {
      strongest = Math.max(strongest, Math.abs(heard[i] ?? 0));
    }
    // What G.711 makes of silence stays below.
    if (strongest > UNDERTONE / 3) present[frame] = 1;
  }
  return present;
}

function speech(texts: readonly string[], caller: readonly Word[], pauseMs: number): Int16Array {
  const pause = new Int16Array((pauseMs * READ_RATE) / 1000);
  return joined(
    texts.flatMap((text) => [caller.find((word) => word.text === text)?.samples ?? new Int16Array(0), pause]),
  );
}

function joined(pieces: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
