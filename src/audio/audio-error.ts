/**
 * Audio that cannot be read or converted. `src/audio` imports nothing of the bridge, so this carries the code that
 * the bridge knows: `BridgeError.from(thrown, 'BAD_AUDIO')` keeps the message.
 */
export class AudioError extends Error {
  readonly code = 'BAD_AUDIO';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AudioError';
  }
}
