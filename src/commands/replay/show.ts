import type { CallEvent } from '../../call-events.ts';
import type { Line } from '../../recording/format.ts';
import { kindOf } from '../../replay/compare/words.ts';
import type { LiveView } from '../live-view.ts';

/** Shows what happens in a replay, line by line as it is found. */
export function showLine(view: LiveView, line: Line): void {
  if (line.on === 'call') showEvent(view, line.msg);
  else if (line.on === 'carrier' && line.dir === 'out' && kindOf(line).startsWith('clear')) {
    view.line('service', 'empties the buffer of the carrier');
  } else if (line.on === 'rest' && 'method' in line.msg) {
    view.line('service', `asks the carrier: ${line.msg.method} ${pathOf(line.msg.url)}`);
  }
}

function showEvent(view: LiveView, event: CallEvent): void {
  view.bridge(event);
  if (event.type === 'mediaStarted') view.line('carrier', 'media stream open');
  else if (event.type === 'digit') view.line('caller', `presses ${event.digit}`);
  else if (event.type === 'failover') view.line('service', `${event.to} in the place of ${event.from}`);
  else if (event.type === 'ended') view.line('service', `call over: ${event.reason}`);
}

function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : url;
}
