package config

// ChannelKeys returns the keys of a channel of driver d with its defaults, the driver's own last.
func ChannelKeys(drivers []Driver, d *Driver) []Key {
	return append(channelKeys(drivers, d), d.keys()...)
}
