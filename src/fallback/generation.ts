import type { HeardItem, ProviderEvent, ProviderSession } from '../provider.ts';

/** Calls whose results may still come. */
const MOST_CALLS = 256;

/**
 * One of the sessions that a call has one after the other. Providers count their responses, items and calls as they like,
 * so every session but the first has its ids marked: what is said to one session never means a thing of another.
 */
export class Generation {
  readonly #mark: string;
  readonly #first: boolean;
  /** Calls of this session, by the names that the call knows them by: only the newest can still be answered. */
  readonly #calls = new Map<string, string>();
  /** What speech came of last: it goes on and on with the same two ids. */
  readonly #speech = { responseId: '', itemId: '', ourResponseId: '', ourItemId: '' };

  /** @param count of the sessions of this call before it */
  constructor(count: number) {
    this.#first = count === 0;
    this.#mark = `~${count}`;
  }

  /** The event with the ids that the call knows. */
  event(event: ProviderEvent): ProviderEvent {
    if (event.type === 'toolCall') this.#know(event.callId);
    if (this.#first) return event;
    switch (event.type) {
      case 'audio': {
        const { responseId, itemId, bytes } = event;
        const speech = this.#speech;
        if (responseId !== speech.responseId || itemId !== speech.itemId) {
          speech.responseId = responseId;
          speech.itemId = itemId;
          speech.ourResponseId = this.#ours(responseId);
          speech.ourItemId = this.#ours(itemId);
        }
        return { type: 'audio', responseId: speech.ourResponseId, itemId: speech.ourItemId, bytes };
      }
      case 'audioDone':
        return { ...event, responseId: this.#ours(event.responseId), itemId: this.#ours(event.itemId) };
      case 'transcript':
        return { ...event, itemId: this.#ours(event.itemId) };
      case 'speechStarted':
      case 'speechStopped':
        return event.itemId === undefined ? event : { ...event, itemId: this.#ours(event.itemId) };
      case 'interrupted':
        return event.responseId === undefined
          ? event
          : { ...event, responseId: this.#ours(event.responseId) };
      case 'responseStarted':
      case 'responseDone':
        return { ...event, responseId: this.#ours(event.responseId) };
      case 'toolCall':
        return { ...event, responseId: this.#ours(event.responseId), callId: this.#ours(event.callId) };
      case 'toolCallsCancelled':
        return { ...event, callIds: event.callIds.map((callId) => this.#ours(callId)) };
      default:
        return event;
    }
  }

  /**
   * The session as the call speaks to it: with its own ids for what is its own, and nothing of what it cannot know.
   * @param onThrown it has thrown instead of doing what it was asked for
   */
  session(session: ProviderSession, onThrown: (thrown: unknown) => void): ProviderSession {
    const attempt = (act: () => void): void => {
      try {
        act();
      } catch (thrown) {
        onThrown(thrown);
      }
    };
    return {
      input: session.input,
      output: session.output,
      sendAudio: (bytes) => {
        try {
          return session.sendAudio(bytes);
        } catch (thrown) {
          onThrown(thrown);
          return false;
        }
      },
      sendText: (text, options) => attempt(() => session.sendText(text, options)),
      say: (text, insist) => attempt(() => session.say(text, insist)),
      sendToolResult: (callId, result) =>
        attempt(() => session.sendToolResult(this.#callIdFor(callId), result)),
      interrupt: (heard) => attempt(() => session.interrupt(this.#own(heard))),
      close: (reason) => session.close(reason),
    };
  }

  #own(heard: readonly HeardItem[]): readonly HeardItem[] {
    return heard.flatMap((item) => {
      const itemId = this.#theirs(item.itemId);
      return itemId === undefined ? [] : [{ ...item, itemId }];
    });
  }

  #ours(id: string): string {
    return this.#first ? id : `${id}${this.#mark}`;
  }

  /** Undefined for what another session has made. */
  #theirs(id: string): string | undefined {
    if (this.#first) return id;
    return id.endsWith(this.#mark) ? id.slice(0, -this.#mark.length) : undefined;
  }

  #know(callId: string): void {
    this.#calls.set(this.#ours(callId), callId);
    const [oldest] = this.#calls.keys();
    if (this.#calls.size > MOST_CALLS && oldest !== undefined) this.#calls.delete(oldest);
  }

  /** A call of an earlier session must not be taken for one of this session that happens to have its name. */
  #callIdFor(callId: string): string {
    return this.#calls.get(callId) ?? (/~\d+$/.test(callId) ? callId : `${callId}~0`);
  }
}
