"""Many slow connections on one collect worker of a real fleet, judged by what their provider wrote down."""
