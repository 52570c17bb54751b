import type { Trouble } from './carrier-sim.ts';

/** Which trouble an error of a media socket is, and in what words. */
export function socketTrouble(error: Error, started: boolean): readonly [trouble: Trouble, text: string] {
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'ECONNREFUSED') return ['stream-refused', 'the connection was refused'];
  if (code.startsWith('WS_ERR')) return ['stream-protocol', `a WebSocket rule was broken: ${error.message}`];
  if (code.includes('CERT') || code.includes('SSL') || code === 'EPROTO') {
    return ['stream-tls', `TLS failed: ${error.message}`];
  }
  return [started ? 'stream-broken' : 'stream-not-upgraded', error.message];
}
