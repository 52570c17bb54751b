/** Everything that the line check says, as words that flite speaks well, and the way from numbers to words. */

const SMALL = [
  'zero',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
  'thirteen',
  'fourteen',
  'fifteen',
  'sixteen',
  'seventeen',
  'eighteen',
  'nineteen',
] as const;
const TENS = ['', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety'] as const;
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;
const ORDINALS: Readonly<Record<number, string>> = {
  1: 'first',
  2: 'second',
  3: 'third',
  5: 'fifth',
  8: 'eighth',
  9: 'ninth',
  12: 'twelfth',
  20: 'twentieth',
  30: 'thirtieth',
};

function wholeWords(value: number): string {
  const small = SMALL[value];
  if (small !== undefined) return small;
  if (value < 100) {
    const unit = value % 10;
    const ten = TENS[Math.floor(value / 10)] ?? '';
    return unit === 0 ? ten : `${ten} ${SMALL[unit]}`;
  }
  const [size, name] = value < 1000 ? ([100, 'hundred'] as const) : ([1000, 'thousand'] as const);
  const rest = value % size;
  const head = `${wholeWords(Math.floor(value / size))} ${name}`;
  return rest === 0 ? head : `${head} ${wholeWords(rest)}`;
}

/** A number below a million in words, rounded to `decimals` (0 or 1) places: `minus eighteen`, `two point one`. */
export function numberWords(value: number, decimals: 0 | 1 = 0): string {
  const scale = decimals === 1 ? 10 : 1;
  const scaled = Math.min(Math.round(Math.abs(value) * scale), 999_999 * scale);
  const sign = value < 0 && scaled > 0 ? 'minus ' : '';
  const whole = wholeWords(Math.floor(scaled / scale));
  return decimals === 1 ? `${sign}${whole} point ${wholeWords(scaled % 10)}` : sign + whole;
}

function ordinalWords(value: number): string {
  const own = ORDINALS[value];
  if (own !== undefined) return own;
  if (value > 20) return `${TENS[Math.floor(value / 10)]} ${ordinalWords(value % 10)}`;
  return `${SMALL[value]}th`;
}

/** A level as it is spoken: `minus eighteen d B m zero`. */
function levelWords(dbm0: number): string {
  return `${numberWords(dbm0)} d B m zero`;
}

const KEYS: Readonly<Record<string, string>> = { '*': 'star', '#': 'pound' };

/** Telephone keys in words: `five`, `one, two, star`, `the letter A`. */
export function keyWords(digits: string): string {
  const words = Array.from(digits, (key) => {
    if (key >= '0' && key <= '9') return SMALL[Number(key)] ?? key;
    return KEYS[key] ?? `the letter ${key.toUpperCase()}`;
  });
  return words.join(', ');
}

export const MENU =
  'I play back what you say, and measure it. Key one is a test tone. Two is the line report. Three is the time. Star ends the call.';
export const AGAIN = 'Please say something else, or press a key.';
export const ECHO_FOLLOWS = 'This is what I heard.';
export const LONG_ECHO_FOLLOWS = 'This is the beginning of what I heard.';
export const TEST_TONE = 'Test tone, one thousand and four hertz, at zero d B m zero.';
export const GOODBYE = 'Thank you for checking the line. Goodbye.';
export const CANNOT_END = 'I cannot end this call. Please hang up.';
export const NOTHING_HEARD = 'I have not heard you speak yet.';
export const NO_TIME = 'I do not know the time.';
export const NO_ANSWERS = 'This is a line check. It cannot answer questions.';

/** What was measured of one turn of the caller. */
export interface Measurement {
  readonly ms: number;
  /** Level of the parts that are speech. */
  readonly levelDbm0: number;
  /** Samples at the end of the scale. */
  readonly clipped: number;
}

const LOUD_DBM0 = -9;
const QUIET_DBM0 = -32;
const LEAST_FLOOR_DBM0 = -70;
const CLIPPED_SAMPLES = 10;

function judgement({ levelDbm0, clipped }: Measurement): string {
  if (clipped >= CLIPPED_SAMPLES) return ', and it is clipped';
  if (levelDbm0 > LOUD_DBM0) return ', which is loud';
  return levelDbm0 < QUIET_DBM0 ? ', which is quiet' : '';
}

function floorWords(noiseDbm0: number | undefined): string {
  if (noiseDbm0 === undefined) return 'The noise floor is not known yet.';
  const below = noiseDbm0 < LEAST_FLOOR_DBM0;
  return `The noise floor is ${below ? 'below ' : ''}${levelWords(Math.max(noiseDbm0, LEAST_FLOOR_DBM0))}.`;
}

/** @param roundTripMs undefined when it is not known */
function roundTripWords(roundTripMs: number | undefined): string {
  if (roundTripMs === undefined) return 'The round trip time is not known.';
  const unit = Math.round(roundTripMs) === 1 ? 'millisecond' : 'milliseconds';
  return `The round trip to the carrier takes ${numberWords(roundTripMs)} ${unit}.`;
}

/** The whole report in words; levels in dBm0, times in ms, undefined for what is not known. */
export function reportWords(
  speech: Measurement | undefined,
  noiseDbm0: number | undefined,
  roundTripMs: number | undefined,
): string {
  const heard =
    speech === undefined
      ? NOTHING_HEARD
      : `Your speech lasted ${numberWords(speech.ms / 1000, 1)} seconds. Its level is ${levelWords(speech.levelDbm0)}${judgement(speech)}.`;
  return `${heard} ${floorWords(noiseDbm0)} ${roundTripWords(roundTripMs)}`;
}

/** The time of day and the date in words; undefined for a text that is no date. */
export function timeWords(utc: string): string | undefined {
  const date = new Date(utc);
  if (Number.isNaN(date.getTime())) return undefined;
  const hours = wholeWords(date.getUTCHours());
  const minutes = date.getUTCMinutes();
  const past = minutes === 0 ? "o'clock" : `${minutes < 10 ? 'oh ' : ''}${wholeWords(minutes)}`;
  const day = `${DAYS[date.getUTCDay()]}, the ${ordinalWords(date.getUTCDate())} of ${MONTHS[date.getUTCMonth()]}`;
  return `It is ${hours} ${past}, universal time, on ${day}.`;
}

/** For the transcript: what was measured, and not a word of what was said. */
export function measurementLabel(speech: Measurement): string {
  return `[speech, ${(speech.ms / 1000).toFixed(1)} s, ${Math.round(speech.levelDbm0)} dBm0]`;
}

const LONGEST_SENTENCE = 240;
const LONGEST_TEXT = 4000;

/** What flite can read of a text: plain ASCII, one space between words. */
function speakable(text: string): string {
  const plain = text
    .slice(0, LONGEST_TEXT)
    .normalize('NFKD')
    .replace(/[‘’]/g, "'")
    .replace(/[–—]/g, ', ')
    .replace(/[^\x20-\x7e]+/g, (run) => (/\s/.test(run) ? ' ' : ''));
  return plain.replace(/\s+/g, ' ').trim();
}

/** Cuts a sentence that is too long at its last comma, or else its last space, that fits. */
function pieces(sentence: string): string[] {
  const cut: string[] = [];
  let rest = sentence;
  while (rest.length > LONGEST_SENTENCE) {
    const head = rest.slice(0, LONGEST_SENTENCE);
    const comma = head.lastIndexOf(', ');
    const space = head.lastIndexOf(' ');
    const at = comma > 0 ? comma + 1 : space > 0 ? space : LONGEST_SENTENCE;
    cut.push(rest.slice(0, at).trim());
    rest = rest.slice(at).trim();
  }
  if (rest !== '') cut.push(rest);
  return cut;
}

/**
 * Sentences of at most 240 characters that can be spoken; characters that flite does not know are dropped, and
 * everything beyond 4000 characters. Empty when nothing is left to say.
 */
export function splitSentences(text: string): string[] {
  return speakable(text)
    .split(/(?<=[.!?])\s+/)
    .flatMap(pieces)
    .filter((sentence) => /[A-Za-z0-9]/.test(sentence));
}
