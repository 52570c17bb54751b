import { BridgeError } from './errors.ts';
import type { HeardItem, ProviderEvent, ProviderSession, RealtimeProvider } from './provider.ts';

/**
 * What somebody wants to be told of every session, whichever provider holds it. Hooks see and do not change anything;
 * they are called synchronously and must not keep anybody waiting. One that throws is reported as a warning of the
 * session (`hook_failed`), and the call goes on.
 */
export interface ProviderHooks {
  /**
   * Somebody has finished saying something; `text` is the whole of it, as the provider wrote it down. Told when the
   * provider is sure of it: that of the caller often comes after the answer to it.
   */
  onTurn?(turn: {
    readonly role: 'user' | 'assistant';
    readonly itemId: string;
    readonly text: string;
  }): void;
  /** The caller cut in: what was heard of what was being said, or had been said and waited to be heard. */
  onInterrupt?(heard: readonly HeardItem[]): void;
  /** The model calls a function; `args` is the text that it wrote. */
  onToolCall?(call: { readonly callId: string; readonly name: string; readonly args: string }): void;
  /** Also of a session that did not come about, which is fatal. */
  onError?(error: BridgeError, fatal: boolean): void;
}

/** The same provider, with hooks that are told of all its sessions, in the order in which they are given. */
export function withHooks(provider: RealtimeProvider, ...hooks: readonly ProviderHooks[]): RealtimeProvider {
  if (hooks.length === 0) return provider;
  return {
    name: provider.name,
    model: provider.model,
    capabilities: provider.capabilities,
    usesNetwork: provider.usesNetwork,
    async connect(request, sink, signal) {
      const told = new Told(hooks, sink);
      try {
        return told.listen(await provider.connect(request, (event) => told.event(event), signal));
      } catch (thrown) {
        const error = BridgeError.from(thrown);
        told.each((hook) => hook.onError?.(error, true));
        throw thrown;
      }
    },
    async prepare() {
      await provider.prepare?.();
    },
    async close() {
      await provider.close?.();
    },
  };
}

/** One session and those who are told of it. */
class Told {
  readonly #hooks: readonly ProviderHooks[];
  readonly #sink: (event: ProviderEvent) => void;
  #closed = false;

  constructor(hooks: readonly ProviderHooks[], sink: (event: ProviderEvent) => void) {
    this.#hooks = hooks;
    this.#sink = sink;
  }

  each(tell: (hook: ProviderHooks) => unknown): void {
    for (const hook of this.#hooks) {
      try {
        const told = tell(hook);
        // Nobody waits for a hook, but one that is async may fail all the same.
        if (told instanceof Promise) told.catch((thrown: unknown) => this.#failed(thrown));
      } catch (thrown) {
        this.#failed(thrown);
      }
    }
  }

  #failed(thrown: unknown): void {
    // Nothing comes after `closed`.
    if (this.#closed) return;
    const { message } = BridgeError.from(thrown);
    this.#sink({ type: 'warning', code: 'hook_failed', message: `a hook failed: ${message}` });
  }

  event(event: ProviderEvent): void {
    switch (event.type) {
      case 'transcript':
        if (event.final) this.each((hook) => hook.onTurn?.(event));
        break;
      case 'toolCall':
        this.each((hook) => hook.onToolCall?.(event));
        break;
      case 'error':
        this.each((hook) => hook.onError?.(event.error, event.fatal));
        break;
      case 'closed':
        this.#closed = true;
        break;
      default:
    }
    this.#sink(event);
  }

  /** Formats are read each time: a session may know them late. */
  listen(session: ProviderSession): ProviderSession {
    return {
      get input() {
        return session.input;
      },
      get output() {
        return session.output;
      },
      sendAudio: (bytes) => session.sendAudio(bytes),
      sendText: (text, options) => session.sendText(text, options),
      say: (text, insist) => session.say(text, insist),
      sendToolResult: (callId, result) => session.sendToolResult(callId, result),
      interrupt: (heard) => {
        if (heard.length > 0) this.each((hook) => hook.onInterrupt?.(heard));
        session.interrupt(heard);
      },
      close: (reason) => session.close(reason),
    };
  }
}
