// The owner of a channel that has none yet.

import type { ChannelOwner } from './channel.ts';

/** Takes what comes and does nothing with it. A new channel is paused, so nothing comes but a close. */
export const nobody: ChannelOwner = {
  channelData() {},
  channelEnd() {},
  channelDrain() {},
  channelClose() {},
};
