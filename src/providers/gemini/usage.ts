import type { Usage } from '../../provider.ts';
import { countOf, type Fields, fieldsOf, isFields } from '../common/fields.ts';

interface Counted {
  readonly text: number;
  readonly audio: number;
}

function byModality(details: unknown): Counted {
  let text = 0;
  let audio = 0;
  for (const detail of Array.isArray(details) ? details : []) {
    const { modality, tokenCount } = fieldsOf(detail);
    // Pictures and documents do not occur in a call; what is not sound is charged like text.
    if (modality === 'AUDIO') audio += countOf(tokenCount);
    else text += countOf(tokenCount);
  }
  return { text, audio };
}

/** Tokens that no detail explains are not free: beside others that are explained they are text, alone they are sound. */
function tokens(total: unknown, details: unknown): Counted {
  const { text, audio } = byModality(details);
  const rest = Math.max(0, countOf(total) - text - audio);
  return text + audio > 0 ? { text: text + rest, audio } : { text, audio: audio + rest };
}

function cachedOf(report: Fields, input: Counted): Counted {
  const details = byModality(report['cacheTokensDetails']);
  if (details.text + details.audio > 0) return details;
  // Nobody knows which they were: taken for text first, the cheaper ones, the cost is not understated.
  const total = countOf(report['cachedContentTokenCount']);
  const text = Math.min(total, input.text);
  return { text, audio: Math.min(total - text, input.audio) };
}

/** A `usageMetadata` as it stands; undefined: it is none. */
export function readUsage(value: unknown): Usage | undefined {
  if (!isFields(value)) return undefined;
  const input = tokens(value['promptTokenCount'], value['promptTokensDetails']);
  const tool = countOf(value['toolUsePromptTokenCount']);
  const cached = cachedOf(value, input);
  // The older name is that of the API without sockets; Vertex AI has been seen to use it.
  const output = tokens(
    value['responseTokenCount'] ?? value['candidatesTokenCount'],
    value['responseTokensDetails'] ?? value['candidatesTokensDetails'],
  );
  return {
    inputTextTokens: input.text + tool,
    inputAudioTokens: input.audio,
    cachedTextTokens: cached.text,
    cachedAudioTokens: cached.audio,
    outputTextTokens: output.text + countOf(value['thoughtsTokenCount']),
    outputAudioTokens: output.audio,
  };
}

function minus(a: Usage, b: Usage | undefined): Usage {
  if (b === undefined) return a;
  return {
    inputTextTokens: Math.max(0, a.inputTextTokens - b.inputTextTokens),
    inputAudioTokens: Math.max(0, a.inputAudioTokens - b.inputAudioTokens),
    cachedTextTokens: Math.max(0, a.cachedTextTokens - b.cachedTextTokens),
    cachedAudioTokens: Math.max(0, a.cachedAudioTokens - b.cachedAudioTokens),
    outputTextTokens: Math.max(0, a.outputTextTokens - b.outputTextTokens),
    outputAudioTokens: Math.max(0, a.outputAudioTokens - b.outputAudioTokens),
  };
}

function isNothing(usage: Usage): boolean {
  return Object.values(usage).every((count: number) => count === 0);
}

function sameInput(a: Usage, b: Usage): boolean {
  return a.inputTextTokens === b.inputTextTokens && a.inputAudioTokens === b.inputAudioTokens;
}

/**
 * Makes increments of reports. A report counts one turn, its whole prompt again with every turn, and so it is charged
 * (pydantic/pydantic-ai#7269, measured on 2.5 and 3.1). Within a turn it may come more than once: 3.1 begins with one
 * (livekit/agents#5238), and later ones hold the earlier ones (sierra-research/tau2-bench#454); of those only the
 * growth counts.
 */
export class UsageMeter {
  #last: Usage | undefined;
  /** The turn that the last report was about, by a number of our own. */
  #lastTurn = 0;
  #turn = 0;

  /** What follows is charged anew: a turn is over, or the model goes on with the result of a function. */
  nextTurn(): void {
    this.#turn += 1;
  }

  /** Undefined: nothing new. */
  count(report: Usage): Usage | undefined {
    const last = this.#last;
    // The report of a turn may come after its end, and is known by its prompt.
    const late = last !== undefined && sameInput(last, report);
    const known = last !== undefined && (late || this.#lastTurn === this.#turn);
    const growth = minus(report, known ? last : undefined);
    this.#last = report;
    if (!late) this.#lastTurn = this.#turn;
    return isNothing(growth) ? undefined : growth;
  }
}
