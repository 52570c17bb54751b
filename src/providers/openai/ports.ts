import type { Clock } from '../../clock.ts';
import type { BridgeError } from '../../errors.ts';
import type { ProviderEvent } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';
import type { Scrub } from '../common/network.ts';
import type { SessionShape } from './config.ts';
import type { Dialect } from './dialect.ts';
import type { Topic } from './messages.ts';

/** What a conversation has of the session that it is held on. */
export interface ConversationPorts {
  readonly clock: Clock;
  readonly dialect: Dialect;
  readonly language: string | undefined;
  readonly scrub: Scrub;
  /** The session as the server last confirmed it. */
  shape(): SessionShape;
  /** Sends one message under a new event id, which is returned. */
  send(topic: Topic, message: Fields): string;
  /** From now on requests go without metadata; false when they did already. */
  untag(): boolean;
  emit(event: ProviderEvent): void;
  fail(error: BridgeError): void;
}
