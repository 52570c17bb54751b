import { assertNever } from '../../errors.ts';
import type { ToolResult } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';
import { toolOutput } from '../common/told.ts';
import { Calls } from './calls.ts';
import { callItem, resultItem } from './messages.ts';
import type { Response } from './responses.ts';
import type { Done, WireCall } from './wire.ts';

interface FunctionsPorts {
  /** Puts an item into the conversation and returns its id. */
  addItem(item: Fields): string;
  /** Asks for an answer to these items; only a response that has seen them stands in for it. */
  respond(items: readonly string[]): void;
  /** Tells the model something in words. */
  tell(text: string, respond: boolean): void;
  called(responseId: string, call: WireCall): void;
  answeredTwice(callId: string): void;
  /** More of something has come than is kept of it. */
  excess(what: string): void;
}

const NOBODY_ASKED = JSON.stringify({ error: 'not run: the caller interrupted' });

/** The functions that the model calls, and what comes of them. */
export class Functions {
  readonly #ports: FunctionsPorts;
  readonly #calls = new Calls();
  /** Calls of an earlier session that were told. */
  #earlier = 0;
  readonly #excess = (): void => this.#ports.excess('function calls than can wait for a result');

  constructor(ports: FunctionsPorts) {
    this.#ports = ports;
  }

  /** The result of a call, at most once. */
  answer(callId: string, result: ToolResult): void {
    const output = toolOutput(result.output, result.isError);
    const state = this.#calls.state(callId);
    switch (state) {
      case 'answered':
        this.#ports.answeredTwice(callId);
        return;
      case 'unknown':
        this.#tellOfCall(callId, result, output);
        return;
      case 'open':
        this.#answer(callId, this.#ports.addItem(resultItem(callId, output)), result.respond);
        return;
      default:
        assertNever(state);
    }
  }

  /** The calls of a response that is complete; those that nobody wants are answered at once. */
  begin(event: Done, response: Response, wanted: boolean): void {
    const calls = this.#calls.begin(
      [...event.calls, ...response.written, ...(event.hasOutput ? [] : response.drafted)],
      response.id,
      this.#excess,
    );
    for (const call of calls) {
      if (wanted) {
        this.#ports.called(response.id, call);
      } else {
        // Nobody is told of it, but a call without an output stays open in the conversation for good.
        const { callId } = call;
        this.#calls.answer(callId, this.#ports.addItem(resultItem(callId, NOBODY_ASKED)), false);
      }
    }
  }

  #answer(callId: string, itemId: string, respond: boolean): void {
    const answered = this.#calls.answer(callId, itemId, respond);
    // Also after the caller cut in: only a response that has seen the result stands in for this one.
    if (answered?.respond) this.#ports.respond(answered.items);
  }

  /** A call of the session before this one: the model is told of it as if it had made it here. */
  #tellOfCall(callId: string, { call, respond }: ToolResult, output: string): void {
    if (call === undefined) {
      this.#ports.tell(`Result of the function call ${callId}, made earlier: ${output}`, respond);
      return;
    }
    const { name, args } = call;
    this.#calls.begin([{ callId, name, args }], '', this.#excess);
    this.#earlier += 1;
    // An id of its own: that of another provider may be longer than this one takes.
    const own = `call_earlier_${this.#earlier}`;
    this.#ports.addItem(callItem(own, name, args));
    this.#answer(callId, this.#ports.addItem(resultItem(own, output)), respond);
  }
}
