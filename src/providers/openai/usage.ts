import type { Usage } from '../../provider.ts';
import { countOf, type Fields, fieldsOf, isFields } from '../common/fields.ts';

/** What writing down the caller's words is charged for: by tokens, or by the seconds of the speech. */
export interface HeardUsage {
  readonly usage: Usage;
  readonly seconds: number | undefined;
}

interface Counted {
  readonly text: number;
  readonly audio: number;
}

/** Tokens that no detail explains are not free: beside others that are explained they are text, alone of `kind`. */
function tokens(total: unknown, details: Fields, kind: 'text' | 'audio'): Counted {
  const text = countOf(details['text_tokens']);
  const audio = countOf(details['audio_tokens']);
  const rest = Math.max(0, countOf(total) - text - audio);
  if (text + audio > 0 || kind === 'text') return { text: text + rest, audio };
  return { text, audio: audio + rest };
}

function cachedOf(details: Fields, input: Counted): Counted {
  const cached = details['cached_tokens_details'];
  if (isFields(cached)) {
    return { text: countOf(cached['text_tokens']), audio: countOf(cached['audio_tokens']) };
  }
  // Nobody knows which they were: taken for text first, the cheaper ones, the cost is not understated.
  const total = countOf(details['cached_tokens']);
  const text = Math.min(total, input.text);
  return { text, audio: Math.min(total - text, input.audio) };
}

/** The `usage` of a response, or of a transcript, whose words are not `spoken`; undefined: it has none. */
export function readUsage(value: unknown, spoken: boolean): Usage | undefined {
  if (!isFields(value)) return undefined;
  const details = fieldsOf(value['input_token_details']);
  const input = tokens(value['input_tokens'], details, 'audio');
  const cached = cachedOf(details, input);
  const output = tokens(
    value['output_tokens'],
    fieldsOf(value['output_token_details']),
    spoken ? 'audio' : 'text',
  );
  return {
    inputTextTokens: input.text,
    inputAudioTokens: input.audio,
    cachedTextTokens: cached.text,
    cachedAudioTokens: cached.audio,
    outputTextTokens: output.text,
    outputAudioTokens: output.audio,
  };
}

/** The `usage` of a transcript; undefined: it has none. */
export function readHeardUsage(value: unknown): HeardUsage | undefined {
  const counted = readUsage(value, false);
  if (counted === undefined) return undefined;
  const seconds = countOf(fieldsOf(value)['seconds']);
  return { usage: counted, seconds: seconds > 0 ? seconds : undefined };
}
