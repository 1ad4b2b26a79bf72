// Imported first, makes a whole test file run on stream channels.

process.env['SOCKGATE_CHANNEL'] = 'stream';
