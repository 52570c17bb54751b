/** Generations of Live models, by the number in their names. */
export const GENERATIONS = ['2.5', '3.1', '3.8'] as const;
export type GenerationName = (typeof GENERATIONS)[number];

export type Behavior = 'BLOCKING' | 'NON_BLOCKING';

/** What differs between the generations, as data. */
export interface Generation {
  readonly name: GenerationName;
  /** `clientContent` is taken in the middle of a conversation; otherwise only as history before it (1007). */
  readonly clientContent: boolean;
  /** History must be announced in the setup, and ends with `turnComplete`, which starts no answer. */
  readonly announcesHistory: boolean;
  /** Text that asks for an answer goes as `realtimeInput.text`; otherwise as `clientContent`. */
  readonly realtimeText: boolean;
  /** Of functions that say nothing of it. */
  readonly behavior: Behavior;
  /**
   * `behavior` of a function is understood. Unsure for 3.1, whose documentation knows only functions that block; it
   * is sent there only to whoever asks for it.
   */
  readonly tellsBehavior: boolean;
  /** `proactivity` may be switched off; newer models refuse it (ai.google.dev/gemini-api/docs/live-api). */
  readonly proactivity: boolean;
}

const TABLE: Readonly<Record<GenerationName, Generation>> = Object.freeze({
  '2.5': {
    name: '2.5',
    clientContent: true,
    announcesHistory: false,
    realtimeText: false,
    behavior: 'BLOCKING',
    tellsBehavior: true,
    proactivity: true,
  },
  '3.1': {
    name: '3.1',
    clientContent: false,
    announcesHistory: true,
    realtimeText: true,
    behavior: 'BLOCKING',
    tellsBehavior: false,
    proactivity: true,
  },
  '3.8': {
    name: '3.8',
    clientContent: true,
    announcesHistory: false,
    realtimeText: true,
    behavior: 'NON_BLOCKING',
    tellsBehavior: true,
    proactivity: false,
  },
});

/** The table's row of a generation. */
export function generation(name: GenerationName): Generation {
  return TABLE[name];
}

/**
 * The generation that a model's name tells, `models/gemini-3.1-flash-live-preview` as well as a whole path of Vertex
 * AI. What tells none is taken for the newest.
 */
export function generationOf(model: string): Generation {
  const number = /\b(\d)\.(\d)\b/.exec(model.slice(model.lastIndexOf('/') + 1));
  if (number === null) return TABLE['3.8'];
  const version = Number(`${number[1]}.${number[2]}`);
  if (version < 3) return TABLE['2.5'];
  return version < 3.8 ? TABLE['3.1'] : TABLE['3.8'];
}
