import type { HeardItem, HistoryItem } from './provider.ts';

export interface TranscriptEntry {
  readonly role: 'user' | 'assistant';
  readonly itemId: string;
  /** Ms since the call began: when the caller began to speak, or when the agent's first audio arrived. */
  readonly atMs: number;
  /** What was said; for an agent's turn that was cut off, what was generated. */
  text: string;
  /** What the caller heard of it; undefined until that is known. */
  heardText: string | undefined;
  interrupted: boolean;
  final: boolean;
}

interface ToolEntry {
  readonly role: 'tool';
  readonly callId: string;
  readonly name: string;
  readonly args: string;
  readonly output: string;
}

/** What the bridge has told the model, such as the keys that the caller pressed. */
interface NoteEntry {
  readonly role: 'note';
  readonly as: 'user' | 'system';
  readonly text: string;
}

/**
 * The conversation so far, free of any provider's form. Entries stand in the order in which people spoke, not in
 * which texts arrived: a transcription of the caller often comes after the answer to it.
 */
export class Transcript {
  readonly #entries: (TranscriptEntry | ToolEntry | NoteEntry)[] = [];
  readonly #byItem = new Map<string, TranscriptEntry>();
  readonly #heard = new Set<string>();

  /** Turns in order; those without any text are left out. */
  get turns(): readonly TranscriptEntry[] {
    return this.#entries.filter(
      (entry): entry is TranscriptEntry =>
        entry.role !== 'tool' && entry.role !== 'note' && entry.text !== '',
    );
  }

  /** Takes the place of a turn in the order, before its text is known. */
  open(role: 'user' | 'assistant', itemId: string, atMs: number): TranscriptEntry {
    const known = this.#byItem.get(itemId);
    if (known !== undefined) return known;
    const entry: TranscriptEntry = {
      role,
      itemId,
      atMs,
      text: '',
      heardText: undefined,
      interrupted: false,
      final: false,
    };
    this.#entries.push(entry);
    this.#byItem.set(itemId, entry);
    return entry;
  }

  /** A piece of text to append, or with `final` the whole. */
  text(
    role: 'user' | 'assistant',
    itemId: string,
    text: string,
    final: boolean,
    atMs: number,
  ): TranscriptEntry {
    const entry = this.open(role, itemId, atMs);
    if (final) entry.text = text;
    else if (!entry.final) entry.text += text;
    entry.final ||= final;
    if (this.#heard.has(itemId)) entry.heardText = entry.text;
    return entry;
  }

  /** An agent's turn was heard to its end. */
  heard(itemId: string): void {
    // The text may still be on its way.
    this.#heard.add(itemId);
    const entry = this.#byItem.get(itemId);
    if (entry !== undefined) entry.heardText = entry.text;
  }

  /** An agent's turn was cut off. Text is cut in proportion to the audio, at a word. */
  interrupted(item: HeardItem): void {
    const entry = this.#byItem.get(item.itemId);
    if (entry === undefined) return;
    entry.interrupted = true;
    entry.heardText = item.receivedMs === 0 ? '' : cutAtWord(entry.text, item.playedMs / item.receivedMs);
  }

  tool(callId: string, name: string, args: string, output: string): void {
    this.#entries.push({ role: 'tool', callId, name, args, output });
  }

  note(as: 'user' | 'system', text: string): void {
    this.#entries.push({ role: 'note', as, text });
  }

  /**
   * No more of this turn of the agent will come: what there is of it is heard to its end, unless the caller cuts in.
   * @param characters what there is audio for, since words run ahead of theirs
   */
  broken(itemId: string, characters: number): void {
    const entry = this.#byItem.get(itemId);
    if (entry === undefined) return;
    entry.final = true;
    if (entry.text.length > characters) entry.text = cutAtWord(entry.text, characters / entry.text.length);
  }

  /** What was heard of a turn so far, or will be. */
  textOf(itemId: string): string {
    const entry = this.#byItem.get(itemId);
    return entry?.heardText ?? entry?.text ?? '';
  }

  /**
   * What a provider that takes over is told: turns as they were heard, and tool calls with their results.
   * @param toCome items of the agent that the caller is about to hear to their end
   * @param unfinished also what the caller is about to say, as far as it is known
   */
  history(toCome: ReadonlySet<string> = new Set(), unfinished = true): HistoryItem[] {
    const items: HistoryItem[] = [];
    for (const entry of this.#entries) {
      if (entry.role === 'tool') {
        const { callId, name, args, output } = entry;
        items.push({ type: 'tool', callId, name, args, output });
        continue;
      }
      if (entry.role === 'note') {
        items.push({ type: 'message', role: entry.as, text: entry.text });
        continue;
      }
      const text = entry.role === 'user' ? userText(entry, unfinished) : agentText(entry, toCome);
      if (text !== '') items.push({ type: 'message', role: entry.role, text });
    }
    return items;
  }
}

function userText({ text, final }: TranscriptEntry, unfinished: boolean): string {
  return final || unfinished ? text : '';
}

/** What the agent said counts as said once it was heard, or is sure to be. */
function agentText({ itemId, text, heardText }: TranscriptEntry, toCome: ReadonlySet<string>): string {
  return heardText ?? (toCome.has(itemId) ? text : '');
}

/** The first `share` (0..1) of a text, ending at a word. */
export function cutAtWord(text: string, share: number): string {
  if (share >= 1) return text;
  const cut = text.slice(0, Math.floor(text.length * Math.max(0, share)));
  if (/\s/.test(text.charAt(cut.length))) return cut;
  return cut.slice(0, Math.max(0, cut.search(/\s\S*$/)));
}
