// Spins for ever without an exit: only a kick or a signal gets the host its thread back.
//
// Loaded and entered at 0x1000. Needs no other memory. Exits: none.
.org 0x1000
start:
    b start
