// Imported first, makes a whole test file run on handle channels, whatever the environment says.

delete process.env['SOCKGATE_CHANNEL'];
