import type { CallEvent } from '../call-events.ts';
import type { SimulatedCall } from '../sim/phone.ts';
import type { Terminal } from './command.ts';

type PhoneEvent = SimulatedCall['events'][number];

const WIDTH = 100;

/** A call as it happens, a line per event; on a terminal with a line below that shows who speaks. */
export class LiveView {
  readonly #terminal: Terminal;
  readonly #startedAt = performance.now();
  #status = false;
  #caller = false;
  #agent = false;
  /** A provider was tried in vain. */
  #failed = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  line(who: string, text: string): void {
    this.#wipe();
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(6);
    this.#terminal.out(`${seconds} s  ${who.padEnd(8)}${text}\n`);
    this.progress();
  }

  /** The line that is always the last one. */
  progress(): void {
    if (!this.#terminal.isTty) return;
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1).padStart(6);
    const side = (name: string, on: boolean): string => `${name} ${on ? '■■■■' : '····'}`;
    this.#terminal.out(`\r${seconds} s  ${side('caller', this.#caller)}   ${side('agent', this.#agent)} `);
    this.#status = true;
  }

  /** What the simulated phone reports. */
  phone(event: PhoneEvent): void {
    switch (event.type) {
      case 'caller-speaking':
      case 'caller-quiet':
        this.#caller = event.type === 'caller-speaking';
        break;
      case 'agent-speaking':
      case 'agent-quiet':
        this.#agent = event.type === 'agent-speaking';
        break;
      case 'answered':
        this.line('phone', 'answered');
        break;
      case 'stream-started':
        this.line('phone', 'media stream open');
        break;
      case 'key':
        this.line('caller', `presses ${event.digit}`);
        break;
      case 'say':
        this.line('carrier', `says: ${event.text}`);
        break;
      case 'beep':
        this.line('carrier', 'sounds a tone and records');
        break;
      case 'message':
        this.line('carrier', `has recorded ${(event.speechMs / 1000).toFixed(1)} s of speech`);
        break;
      case 'dial':
        this.line('carrier', 'puts the caller through');
        break;
      case 'leg-told':
        this.line('carrier', `tells the other end: ${event.text}`);
        break;
      case 'leg':
        this.line('carrier', `the other end: ${event.status}`);
        break;
      case 'warning':
        // Twilio notes every close by the service, also the one that is a hang-up.
        if (event.code !== '31921') this.line('carrier', `warning ${event.code} ${event.text}`);
        break;
      case 'ended':
        this.line('phone', `call over, ended by ${event.by}`);
        break;
      default:
        break;
    }
  }

  /** What a bridge in this process reports. */
  bridge(event: CallEvent): void {
    if (event.type === 'transcript' && event.final) {
      this.line(event.role === 'user' ? 'caller' : 'agent', shorten(event.text));
    }
    if (event.type === 'providerFailed') {
      const { provider, phase, code } = event;
      this.#failed = true;
      this.line('service', `${phase === 'in-call' ? 'has lost' : 'cannot have'} ${provider} (${code})`);
    }
    // At the start of a call that is no news, as long as it was the first who was tried.
    if (event.type === 'providerReady' && (event.why !== 'start' || this.#failed)) {
      this.line('service', `goes on with ${event.provider}`);
    }
    if (event.type === 'tool') this.line('agent', `ran ${event.name} in ${event.ms.toFixed(1)} ms`);
    if (event.type === 'bargeIn') {
      const heard = event.heard.map((item) => `${item.playedMs} of ${item.receivedMs} ms heard`);
      this.line('agent', `interrupted${heard.length === 0 ? '' : `: ${heard.join(', ')}`}`);
    }
  }

  close(): void {
    this.#wipe();
  }

  #wipe(): void {
    if (this.#status) this.#terminal.out(`\r${' '.repeat(60)}\r`);
    this.#status = false;
  }
}

function shorten(text: string): string {
  return text.length <= WIDTH ? text : `${text.slice(0, WIDTH - 1)}…`;
}
