import type { CallHandle, DigitWish, ToolContext } from '../tools.ts';

type Deed = (call: ToolContext, given: readonly unknown[]) => unknown;

/** What a handler may have done with its call. What it was answered is not waited for: it has had its say in the result. */
const DEEDS: Readonly<Record<string, Deed>> = {
  hangUpAfterGoodbye: (call) => call.hangUpAfterGoodbye(),
  heard: (call) => call.heard(),
  transfer: (call, [transfer]) => call.transfer(transfer as Parameters<CallHandle['transfer']>[0]),
  sendDigits: (call, [digits]) => call.sendDigits(String(digits)),
  // Gives up with the invocation, as it did.
  collectDigits: (call, [wish]) => call.collectDigits(wish as DigitWish, call.signal),
  leaveMessage: (call, [text]) => call.leaveMessage(String(text)),
  record: (call, [on]) => call.record(on === true),
};

/** Does with a call what a handler did with its own, as `ToolMessage` has it; what handlers cannot do is not done. */
export function doOnceMore(does: string, given: readonly unknown[], call: ToolContext): void {
  if (Object.hasOwn(DEEDS, does)) DEEDS[does]?.(call, given);
}
